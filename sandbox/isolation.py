"""The strongest isolation that a machine gives, at least what is configured, or a refusal."""

from collections.abc import Sequence

from redline.sandbox.records import IsolationRefused
from redline.sandbox.server import ForkServer, TierUnavailable
from redline.sandbox.settings import SandboxSettings
from redline.sandbox.tiers import TIERS, Tier, UnknownTier, acceptable_tiers

_REMEDIES = {
    "namespaces": "to give namespaces, let this user create user namespaces and mount in them "
    "(docs/security.md)",
    "landlock": "Landlock needs Linux 5.13 with landlock in CONFIG_LSM or lsm=",
    "seccomp": "a kernel with CONFIG_SECCOMP_FILTER on x86_64 gives the filter",
}


async def start_strongest(settings: SandboxSettings) -> ForkServer:
    """Start a server of the strongest tier that can be had.

    Raises `IsolationRefused` when the machine gives less than `min_tier` or the settings make no
    sense, and `InfrastructureError` when no server can be started at all.
    """
    failures = []
    for tier in tiers_of(settings):
        try:
            return await ForkServer.start(tier)
        except TierUnavailable as error:
            failures.append(error)
    raise IsolationRefused(refusal(failures, Tier(settings.min_tier))) from failures[-1]


def tiers_of(settings: SandboxSettings) -> tuple[Tier, ...]:
    """The tiers that may be used, the strongest first; raises `IsolationRefused`."""
    try:
        return acceptable_tiers(
            settings.min_tier, settings.max_tier, allow_unsafe=settings.allow_unsafe
        )
    except UnknownTier as error:
        raise IsolationRefused(str(error)) from error


def refusal(failures: Sequence[TierUnavailable], minimum: Tier) -> str:
    """Why nothing is run: what failed, how, and what to change."""
    tried = "; ".join(str(failure) for failure in failures)
    remedies = dict.fromkeys(_REMEDIES.get(failure.layer, "") for failure in failures)
    ways = [remedy for remedy in remedies if remedy]
    weaker = TIERS[TIERS.index(minimum) + 1]
    setting = f"sandbox.min_tier={weaker}"
    if weaker is Tier.NONE:
        ways.append(
            f"{setting} with sandbox.allow_unsafe=true runs programs without isolation, which is "
            "for programs you trust only"
        )
    else:
        ways.append(f"{setting} allows weaker isolation")
    return (
        f"this machine does not give the isolation sandbox.min_tier={minimum} ({tried}): "
        + "; ".join(ways)
    )

"""The tiers of isolation and their order, and what a configuration may ask for.

Standard library only: the fork server, the pool and the configuration all read it.
"""

from collections.abc import Iterable
from enum import StrEnum


class Tier(StrEnum):
    """How strongly a candidate is contained; the strongest first."""

    NAMESPACES = "namespaces"
    """Own user, process, network, IPC, host-name and mount namespaces with an empty read-only
    root; and all of `SECCOMP`."""
    LANDLOCK = "landlock"
    """No file can be opened and no TCP connection made even past the system-call filter; and all
    of `SECCOMP`."""
    SECCOMP = "seccomp"
    """A system-call filter: no files, no network, no processes, no signals; and all of `NONE`."""
    NONE = "none"
    """Limits and, where the server is root, a user of its own. No isolation."""


TIERS = tuple(Tier)


class UnknownTier(ValueError):
    """Settings that name no tier or contradict each other."""


def parse_tier(name: str, setting: str) -> Tier:
    """The tier of this name; raises `UnknownTier` naming the setting and the choices."""
    try:
        return Tier(name)
    except ValueError as error:
        raise UnknownTier(f"{setting}={name!r}: expected one of {', '.join(TIERS)}") from error


def acceptable_tiers(min_tier: str, max_tier: str, *, allow_unsafe: bool) -> tuple[Tier, ...]:
    """The tiers between both bounds, the strongest first; raises `UnknownTier`."""
    weakest = parse_tier(min_tier, "sandbox.min_tier")
    strongest = parse_tier(max_tier, "sandbox.max_tier")
    if weakest is Tier.NONE and not allow_unsafe:
        raise UnknownTier(
            "sandbox.min_tier='none' runs untrusted programs without isolation: it needs "
            "sandbox.allow_unsafe=true, or choose namespaces, landlock or seccomp"
        )
    first, last = TIERS.index(strongest), TIERS.index(weakest)
    if first > last:
        raise UnknownTier(
            f"sandbox.max_tier={strongest.value!r} is weaker than sandbox.min_tier="
            f"{weakest.value!r}: raise the one or lower the other"
        )
    return TIERS[first : last + 1]


def weakest_tier(tiers: Iterable[str]) -> Tier:
    """The tier that several sandboxes give together; `none` of no sandbox at all."""
    return max((Tier(tier) for tier in tiers), key=TIERS.index, default=Tier.NONE)

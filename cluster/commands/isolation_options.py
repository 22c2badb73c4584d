"""The options that choose the isolation of a command's sandboxes."""

from typing import Annotated

import typer

from redline.cluster.errors import UserError, one_line
from redline.sandbox.settings import SandboxSettings
from redline.sandbox.tiers import UnknownTier, acceptable_tiers

_DEFAULTS = SandboxSettings()

MinTier = Annotated[
    str,
    typer.Option(help="Weakest isolation to accept: namespaces, landlock, seccomp or none."),
]
MaxTier = Annotated[str, typer.Option(help="Strongest isolation to try.")]
AllowUnsafe = Annotated[
    bool, typer.Option("--allow-unsafe", help="Let --min-tier none run without isolation.")
]
MIN_TIER, MAX_TIER = _DEFAULTS.min_tier, _DEFAULTS.max_tier


def sandbox_settings(
    min_tier: str, allow_unsafe: bool, max_tier: str = MAX_TIER
) -> SandboxSettings:
    """Settings with this isolation; raises UserError when the tiers make no sense."""
    try:
        acceptable_tiers(min_tier, max_tier, allow_unsafe=allow_unsafe)
    except UnknownTier as error:
        raise UserError(f"{one_line(error)} (--min-tier, --max-tier, --allow-unsafe)") from error
    return SandboxSettings(min_tier=min_tier, max_tier=max_tier, allow_unsafe=allow_unsafe)

"""What samplers and sandboxes tell about themselves."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerStats:
    """Counts since the sampler started."""

    worker: str
    version: int | None
    """Weight version that is served; None before the first proven one."""
    running: int
    """Episodes that run now."""
    groups: int
    episodes: int
    aborted: int
    turns: int
    tokens_sampled: int
    tokens_state: int
    """Tokens of states, which the engine reads but does not sample."""
    updates: int
    """Weight updates that were proven."""
    seconds_start: float
    """From construction until the engine could serve, compilation included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxStart:
    """What a sandbox found when it started."""

    worker: str
    node: str
    """Host name of its machine."""
    tier: str
    """Isolation of every program that it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerHealth:
    """Whether a sampler can go on."""

    worker: str
    version: int | None
    ok: bool
    problem: str
    """Why the sampler must be replaced; empty while it is sound."""

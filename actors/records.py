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
    """Whether a sampler can go on, and what it does."""

    worker: str
    version: int | None
    ok: bool
    problem: str
    """Why the sampler must be replaced; empty while it is sound."""
    episodes: int = 0
    """Episodes that run now."""
    executing: int = 0
    """Programs that it waits for sandboxes to execute."""
    turns: int = 0
    """Actions that it has sampled since it started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxHealth:
    """Whether a sandbox can go on, and what it does."""

    worker: str
    ok: bool
    problem: str
    """Why the sandbox must be replaced; empty while it is sound."""
    workers: int
    """Fork servers."""
    running: int
    """Programs that are executed now."""
    queued: int
    """Programs that wait for a fork server."""
    executions: int
    """Verdicts since it started."""

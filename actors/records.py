"""What samplers and sandboxes tell about themselves."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """What an engine tells about itself: counts since its start, and its last step."""

    running: int
    """Requests that the last step worked on."""
    waiting: int
    """Requests that had no room in it."""
    kv_cache_usage: float
    """Share of the KV cache's blocks in use, 0 to 1."""
    prefix_queried_tokens: int
    """Prompt tokens that were looked up in the prefix cache."""
    prefix_hit_tokens: int
    prompt_tokens: int
    """Prompt tokens that were computed."""
    generated_tokens: int
    preemptions: int
    """Requests that lost their place in the KV cache."""
    steps: int
    """Batches that were computed."""
    first_token_seconds: float
    """From request to first token, summed over all requests."""
    first_tokens: int
    """Requests that got their first token."""


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
    problem: str = ""
    """Why the sampler must be replaced; empty while it is sound."""
    engine: EngineStats | None = None
    """None unless the engine counts (`rollout.engine.stats`)."""


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

"""Settings of the sandbox fleet, composed into the run configuration by the cluster room."""

from dataclasses import dataclass, field

from redline.sandbox.records import Limits

FORK_SERVERS = "fork_servers"
"""Name of the backend that comes with redline."""


@dataclass(kw_only=True)
class SandboxSettings:
    """Fleet size, isolation and limits."""

    backend: str = FORK_SERVERS
    """What the sandbox actors of a run execute programs with: `fork_servers`, or a backend that a
    module of `plugins` registers."""
    actors: int = 1
    """Sandbox actors in the cluster."""
    workers_per_actor: int = 2
    """Fork servers in each actor."""
    num_cpus: float = 1.0
    """CPUs that each actor asks Ray for."""
    resources: dict[str, float] = field(default_factory=dict)
    """Custom Ray resources that each actor asks for, such as `{redline_sandbox: 1}`: nodes without
    them never run a candidate's program."""
    min_tier: str = "seccomp"
    """Weakest isolation to run under: `namespaces`, `landlock`, `seccomp`, or `none`, which also
    needs `allow_unsafe`. The strongest that a machine gives is used; below this, it is refused."""
    max_tier: str = "namespaces"
    """Strongest isolation to try, for comparisons and tests."""
    allow_unsafe: bool = False
    """Let `min_tier: none` run untrusted programs without isolation."""
    cpu_seconds: float = 2.0
    """CPU time of one test, the program's own start included."""
    wall_seconds: float = 20.0
    """Loose backstop on the time of a whole execution."""
    memory_mib: int = 256
    """Address space that a candidate may add."""
    output_bytes: int = 65_536
    """Bytes on stdout and stderr together."""
    result_bytes: int = 262_144
    """Bytes of one encoded result."""
    recycle_after: int = 2_000
    """Executions after which a fork server is replaced."""
    max_retries: int = 3
    """Retries of an execution after an infrastructure error."""
    max_queued: int = 10_000
    """Executions that may wait in one pool; more are sent away at once, to another actor."""
    health_check_seconds: float = 30.0
    """Time between trials of idle fork servers; 0 turns them off."""


def limits_of(settings: SandboxSettings) -> Limits:
    """The limits that these settings put on every execution."""
    return Limits(
        cpu_seconds=settings.cpu_seconds,
        wall_seconds=settings.wall_seconds,
        memory_mib=settings.memory_mib,
        output_bytes=settings.output_bytes,
        result_bytes=settings.result_bytes,
    )

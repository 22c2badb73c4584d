"""Records of one execution: what is asked of a sandbox and what it answers."""

from dataclasses import dataclass, field
from enum import StrEnum


class TestStatus(StrEnum):
    """Outcome of one test; anything but `PASS` means that the program is not correct."""

    __test__ = False  # not a pytest class

    PASS = "pass"
    FAIL = "fail"
    EXCEPTION = "exception"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASH = "crash"
    OUTPUT = "output"
    PROTOCOL = "protocol"
    NOT_RUN = "not_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one execution (program and all its tests)."""

    cpu_seconds: float = 2.0
    """CPU time of one test, the program's own start included."""
    wall_seconds: float = 20.0
    """Loose backstop on wall-clock time of the whole execution."""
    memory_mib: int = 256
    """Address space that the candidate may add."""
    output_bytes: int = 65_536
    """Bytes on stdout and stderr together."""
    result_bytes: int = 262_144
    """Bytes of one encoded result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRequest:
    """One program with its tests, to be run and judged."""

    program: str
    tests: tuple[str, ...]
    """Independent Python snippets, each run after setup and program."""
    setup: str = ""
    entry_point: str | None = None
    limits: Limits = field(default_factory=Limits)
    stop_at_failure: bool = False
    """Start no further child once a test has failed: tests that a crash or a timeout would have
    moved into another child are then `NOT_RUN`. Saves the time of repeated timeouts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """Outcome of one test."""

    __test__ = False  # not a pytest class

    status: TestStatus
    detail: str = ""
    """Deterministic text for the policy: the call, what came back, what was expected, or the
    traceback's last lines with line numbers of the candidate only. Empty on a pass."""
    detail_blind: str = ""
    """The same without the expected value."""
    cpu_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Result of one execution: a status per test and the isolation it was obtained under."""

    tests: tuple[TestResult, ...]
    tier: str
    """Isolation that was in force: `namespaces`, `landlock`, `seccomp` or `none`."""
    wall_ms: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether there is at least one test and every test passed."""
        return bool(self.tests) and all(t.status is TestStatus.PASS for t in self.tests)

    @property
    def passing(self) -> int:
        """Number of tests that passed."""
        return sum(t.status is TestStatus.PASS for t in self.tests)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """One layer of isolation: whether it holds on this machine, and why not."""

    name: str
    achieved: bool
    reason: str = ""
    """Empty where it holds."""


class InfrastructureError(RuntimeError):
    """The sandbox itself failed: the execution has no verdict and must be retried elsewhere."""


class IsolationRefused(InfrastructureError):
    """This machine does not give the isolation that was asked for, or nothing sensible was asked
    for: nothing is run, here or by another attempt.
    """

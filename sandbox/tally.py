"""What a pool has done: counts for dashboards."""

import collections
import signal
from dataclasses import dataclass, field

from redline.sandbox.records import Verdict
from redline.sandbox.server import ChildInput, ForkServer, RunOutput
from redline.sandbox.wire import EndCause, RunEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStats:
    """Counts since the pool started."""

    workers: int
    """Fork servers that the pool keeps."""
    executions: int
    """Verdicts given."""
    running: int
    queued: int
    retries: int
    """Executions started again after an infrastructure error."""
    infrastructure_errors: int
    """Executions given up after all retries."""
    servers_started: int
    unhealthy: int
    """Idle servers that failed a health check and were replaced."""
    statuses: dict[str, int]
    """Tests by status."""
    kills: dict[str, int]
    """Contained children that were ended, by reason: `cpu`, `wall`, or a signal (`SIGPROF` and
    `SIGXCPU`: CPU time, `SIGXFSZ`: output, `SIGSYS`: a forbidden system call, others: crashes)."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """The counts while they change."""

    executions: int = 0
    running: int = 0
    retries: int = 0
    infrastructure_errors: int = 0
    servers_started: int = 0
    unhealthy: int = 0
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    kills: collections.Counter[str] = field(default_factory=collections.Counter)

    def count(self, verdict: Verdict) -> None:
        """Add a verdict."""
        self.executions += 1
        self.statuses.update(result.status.value for result in verdict.tests)

    def counted(self, server: ForkServer) -> "CountedRuns":
        """The server's `run`, whose kills are counted here."""
        return CountedRuns(server, self)

    def stats(self, *, workers: int, queued: int) -> PoolStats:
        """The counts now."""
        return PoolStats(
            workers=workers,
            queued=queued,
            executions=self.executions,
            running=self.running,
            retries=self.retries,
            infrastructure_errors=self.infrastructure_errors,
            servers_started=self.servers_started,
            unhealthy=self.unhealthy,
            statuses=dict(self.statuses),
            kills=dict(self.kills),
        )


class CountedRuns:
    """Runs children on one server and counts those that were ended."""

    def __init__(self, server: ForkServer, tally: Tally) -> None:
        self._server = server
        self._tally = tally

    async def __call__(self, *inputs: ChildInput) -> list[RunOutput]:
        """As `ForkServer.run`."""
        outputs = await self._server.run(*inputs)
        self._tally.kills.update(
            reason for output in outputs if (reason := kill_reason(output.end)) is not None
        )
        return outputs


def kill_reason(end: RunEnd) -> str | None:
    """Why a child was ended; None when it ended by itself or was not needed any more."""
    if end.cause in (EndCause.CPU, EndCause.WALL):
        return end.cause.name.lower()
    if end.cause is EndCause.SIGNAL:
        known = {each.value for each in signal.Signals}
        return signal.Signals(end.code).name if end.code in known else f"signal {end.code}"
    return None

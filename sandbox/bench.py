"""How fast the sandbox is on this machine, on a small program with three tests."""

import asyncio
import time
from dataclasses import dataclass

from redline.sandbox.pool import SandboxPool
from redline.sandbox.records import ExecutionRequest, InfrastructureError, Verdict
from redline.sandbox.settings import SandboxSettings

_PROGRAM = """\
import heapq
def heap_replace(heap, a):
    heapq.heapify(heap)
    heapq.heapreplace(heap, a)
    heapq.heapify(heap)
    return heap
"""
REQUEST = ExecutionRequest(
    program=_PROGRAM,
    tests=(
        "assert heap_replace([25, 44, 68, 21, 39, 23, 89], 21) == [21, 25, 23, 44, 39, 68, 89]",
        "assert heap_replace([25, 44, 68, 21, 39, 23, 89], 110) == [23, 25, 68, 44, 39, 110, 89]",
        "assert heap_replace([25, 44, 68, 21, 39, 23, 89], 500) == [23, 25, 68, 44, 39, 500, 89]",
    ),
    entry_point="heap_replace",
)
"""What is measured: a short program with three plain tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """Speed of a pool; times are of one execution, from its start on a server to its verdict."""

    executions_per_s: float
    p50_ms: float
    p99_ms: float
    tier: str
    workers: int


def bench(
    *, workers: int = 2, executions: int = 2_000, settings: SandboxSettings | None = None
) -> BenchReport:
    """Measure a pool of its own; raises `InfrastructureError` if an execution has no verdict."""
    return asyncio.run(_bench(workers, executions, settings or SandboxSettings()))


async def _bench(workers: int, executions: int, settings: SandboxSettings) -> BenchReport:
    async with SandboxPool(workers, settings) as pool:
        await pool.run_many([REQUEST] * (10 * workers))
        started = time.perf_counter()
        answers = await pool.run_many([REQUEST] * executions)
        seconds = time.perf_counter() - started
        tier = pool.tier
    times = sorted(_wall_ms(answer) for answer in answers)
    return BenchReport(
        executions_per_s=executions / seconds,
        p50_ms=times[len(times) // 2],
        p99_ms=times[int(len(times) * 0.99)],
        tier=tier,
        workers=workers,
    )


def _wall_ms(answer: Verdict | InfrastructureError) -> float:
    if isinstance(answer, InfrastructureError):
        raise answer
    if not answer.passed:
        raise InfrastructureError(f"a correct program did not pass: {answer.tests}")
    return answer.wall_ms

"""The sandbox against other ways to run a program with its tests, and over many executions.

Rates: each judge is given the same program and tests by as many clients as there are cores, each
of which waits for its verdict before it asks again; judges take turns, medians of rounds count.
Endurance: many executions, after which no process, no descriptor and no memory may be left over.
Steadiness: the same programs on idle cores and with three times more busy processes than cores.
"""

import asyncio
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import psutil
from _other_judges import forked_and_guarded, fresh_subprocess
from _report import arguments, print_report, ratio

from redline.sandbox.bench import REQUEST
from redline.sandbox.pool import SandboxPool
from redline.sandbox.records import ExecutionRequest, InfrastructureError, Limits, Verdict

CHECK = "def check(candidate):\n" + "".join(
    "    " + test.replace("heap_replace(", "candidate(") + "\n" for test in REQUEST.tests
)
CHECKED = ExecutionRequest(
    program=REQUEST.program, tests=(CHECK + "check(heap_replace)",), entry_point="heap_replace"
)

BUSY = "def busy(seconds):\n    import time\n    end = time.process_time() + seconds\n"
BUSY += "    while time.process_time() < end:\n        pass\n    return 'done'\n"
STEADY_LIMITS = Limits(cpu_seconds=1.0, wall_seconds=60.0)
STEADY = tuple(
    ExecutionRequest(program=BUSY, tests=tests, entry_point="busy", limits=STEADY_LIMITS)
    for tests in (
        ("assert busy(0.7) == 'done'",) * 4,
        ("assert busy(0.01) == 'done'", "assert busy(0.01) == 'other'"),
        ("assert busy(1.5) == 'done'", "assert busy(0.0) == 'done'"),
        ("assert busy() == 'done'", "assert [0] * 10**12", "assert busy(0.0) == 'done'"),
    )
)
BURNERS_PER_CORE = 3


@dataclass(slots=True, kw_only=True)
class Timings:
    """Rounds of one judge: executions per second of each, and the time of every execution."""

    rates: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    def figures(self, name: str) -> dict[str, float]:
        """Rate and latency under the judge's name."""
        times = sorted(self.milliseconds)
        return {
            f"{name}_per_s": statistics.median(self.rates),
            f"{name}_p50_ms": times[len(times) // 2],
            f"{name}_p99_ms": times[int(len(times) * 0.99)],
        }


async def measure(
    judge: Callable[[], Awaitable[bool]], executions: int, clients: int, into: Timings | None
) -> None:
    """One round: the clients share the executions. Keeps nothing of them without `into`."""
    left = iter(range(executions))

    async def client() -> None:
        for _ in left:
            began = time.perf_counter()
            if not await judge():
                raise AssertionError("a correct program was not credited")
            if into is not None:
                into.milliseconds.append((time.perf_counter() - began) * 1e3)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    if into is not None:
        into.rates.append(executions / (time.perf_counter() - began))


async def compare(rounds: int, executions: int, clients: int) -> tuple[dict[str, Timings], str]:
    """All judges in turns; their timings and the sandbox's tier."""
    loop = asyncio.get_running_loop()
    timings = {name: Timings() for name in ("redline", "redline_check", "subprocess", "human_eval")}
    tier = ""
    with ThreadPoolExecutor(clients) as threads:
        for _ in range(rounds):
            async with SandboxPool(clients) as pool:
                tier = pool.tier.value
                for name, request in (("redline", REQUEST), ("redline_check", CHECKED)):

                    async def ask(request: ExecutionRequest = request) -> bool:
                        return (await pool.run(request)).passed

                    await measure(ask, 10 * clients, clients, None)
                    await measure(ask, executions, clients, timings[name])
            for name, judge in (
                ("subprocess", fresh_subprocess),
                ("human_eval", forked_and_guarded),
            ):

                async def ask_thread(judge: Callable[..., bool] = judge) -> bool:
                    return await loop.run_in_executor(
                        threads, judge, REQUEST.program, REQUEST.tests
                    )

                await measure(ask_thread, executions // 10, clients, timings[name])
    return timings, tier


async def endure(executions: int, clients: int) -> dict[str, float]:
    """Growth of this process, its descriptors and its descendants over many executions."""
    async with SandboxPool(clients) as pool:
        await _run(pool, 2_000, clients)
        before = _held()
        began = time.perf_counter()
        await _run(pool, executions, clients)
        seconds = time.perf_counter() - began
        await asyncio.sleep(1.0)
        after = _held()
    return {
        "endured_executions": executions,
        "endured_per_s": executions / seconds,
        **{f"endured_{key}_growth": after[key] - before[key] for key in before},
    }


async def _run(pool: SandboxPool, executions: int, clients: int) -> None:
    async def ask() -> bool:
        return (await pool.run(REQUEST)).passed

    await measure(ask, executions, clients, None)


def _held() -> dict[str, float]:
    """What this process and its descendants hold now."""
    me = psutil.Process()
    family = [me, *me.children(recursive=True)]
    return {
        "processes": len(family),
        "descriptors": me.num_fds(),
        "rss_mib": sum(process.memory_info().rss for process in family) / 2**20,
    }


async def steadiness(clients: int) -> int:
    """Number of statuses that differ between idle and overloaded cores."""
    async with SandboxPool(clients) as pool:
        idle = await _statuses(pool)
        burners = [
            multiprocessing.get_context("spawn").Process(target=_burn, daemon=True)
            for _ in range(BURNERS_PER_CORE * clients)
        ]
        for burner in burners:
            burner.start()
        try:
            busy = await _statuses(pool)
        finally:
            for burner in burners:
                burner.kill()
                burner.join()
    return sum(one != other for one, other in zip(idle, busy, strict=True))


async def _statuses(pool: SandboxPool) -> list[str]:
    answers: Sequence[Verdict | InfrastructureError] = await pool.run_many(STEADY)
    return [
        str(result.status) if isinstance(answer, Verdict) else str(answer)
        for answer in answers
        for result in (answer.tests if isinstance(answer, Verdict) else (None,))
    ]


def _burn() -> None:
    while True:
        pass


def main() -> int:
    """Run and report."""
    options = arguments(__doc__ or "")
    clients = len(os.sched_getaffinity(0))
    rounds, executions, endured = (2, 500, 3_000) if options.quick else (5, 2_000, 100_000)
    timings, tier = asyncio.run(compare(rounds, executions, clients))
    figures = {key: value for name, t in timings.items() for key, value in t.figures(name).items()}
    figures |= asyncio.run(endure(endured, clients))
    figures["verdicts_changed_by_load"] = asyncio.run(steadiness(clients))
    rate = figures["redline_per_s"]
    ratios = {
        "against_human_eval": ratio(
            rate / figures["human_eval_per_s"], 5.0, "human-eval's method, executions/s"
        ),
        "against_subprocess": ratio(
            rate / figures["subprocess_per_s"], 1.0, "a fresh interpreter, executions/s"
        ),
        "p99_within_10_ms": ratio(10.0 / figures["redline_p99_ms"], 1.0, "10 ms"),
    }
    print(f"isolation: {tier}", file=sys.stderr)
    status = print_report("sandbox", figures, ratios, ("redline",), as_json=options.json)
    leaked = (
        figures["endured_processes_growth"] > 0
        or figures["endured_descriptors_growth"] > 0
        or figures["endured_rss_mib_growth"] > 1.0
    )
    return 1 if leaked or figures["verdicts_changed_by_load"] else status


if __name__ == "__main__":
    sys.exit(main())

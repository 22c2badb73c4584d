"""One execution: which tests go into which contained child, until each has a result.

Plain tests share one child, so that the program starts once. All others share a pair: a candidate
that holds the program, and a judge child that holds the tests and calls it over a link. Neither
what a plain test expects nor any text of another test is ever in a process with the program. A
child that ends early costs only the test it ended in: the rest run in a new one.
"""

import ast
import json
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache

from redline.sandbox.compile import compile_test
from redline.sandbox.outcomes import (
    ChildOutcome,
    PendingTest,
    not_run,
    read_outcome,
    read_pair_outcome,
)
from redline.sandbox.records import ExecutionRequest, TestResult, TestStatus, Verdict
from redline.sandbox.scopes import bound_names, dotted_names, loaded_names
from redline.sandbox.server import ChildInput, RunOutput
from redline.sandbox.wire import RunOrder

Run = Callable[..., Awaitable[list[RunOutput]]]
"""Runs one contained child, or a candidate and its judge child, given as `ChildInput`."""

_MAX_RESULTS_HELD = 64
_FRAME_SLACK = 4096
_JUDGE_CPU = 2.0
"""CPU time of a judge child, as a multiple of the candidate's."""
_JUDGE_MEMORY_MIB = 128
"""Address space of a judge child besides the candidate's limit, for what it is sent."""


async def execute(request: ExecutionRequest, run: Run, tier: str) -> Verdict:
    """Run all tests of a request on one fork server; raises what `run` raises."""
    return await _Execution(request, run, tier).verdict()


class _Execution:
    """The state of one execution: results so far and the time that is left."""

    def __init__(self, request: ExecutionRequest, run: Run, tier: str) -> None:
        self._request = request
        self._run = run
        self._tier = tier
        self._started = time.monotonic()
        self._results: list[TestResult | None] = [None] * len(request.tests)

    async def verdict(self) -> Verdict:
        """Run everything there is to run."""
        pending = [_pending(self._request, index) for index in range(len(self._results))]
        for group in (
            [test for test in pending if test.plain is not None],
            [test for test in pending if test.plain is None],
        ):
            while group and (wall := self._wall_left()) > 0 and not self._may_stop():
                group = await self._run_child(group, wall)
        reason = "an earlier test failed" if self._may_stop() else "no time was left"
        return Verdict(
            tests=tuple(result or not_run(reason) for result in self._results),
            tier=self._tier,
            wall_ms=(time.monotonic() - self._started) * 1e3,
        )

    async def _run_child(self, tests: list[PendingTest], wall: float) -> list[PendingTest]:
        """Run one child and note its results; the tests that need another child."""
        outcome = await (self._calls(tests, wall) if tests[0].plain else self._pair(tests, wall))
        if outcome.program_failure is not None:
            self._results = [result or outcome.program_failure for result in self._results]
            return []
        for test, result in zip(tests, outcome.results, strict=False):
            self._results[test.index] = result
        return tests[len(outcome.results) :]

    async def _calls(self, tests: list[PendingTest], wall: float) -> ChildOutcome:
        calls = [test.text for test in tests]
        (output,) = await self._run(_candidate(self._request, len(tests), wall, calls))
        return read_outcome(output, tests)

    async def _pair(self, tests: list[PendingTest], wall: float) -> ChildOutcome:
        candidate, judge = await self._run(
            _candidate(self._request, len(tests), wall, None), _judge(self._request, tests, wall)
        )
        return read_pair_outcome(candidate, judge, tests, self._tier)

    def _wall_left(self) -> float:
        return self._request.limits.wall_seconds - (time.monotonic() - self._started)

    def _may_stop(self) -> bool:
        return self._request.stop_at_failure and any(
            result is not None and result.status is not TestStatus.PASS for result in self._results
        )


def _pending(request: ExecutionRequest, index: int) -> PendingTest:
    text = request.tests[index]
    plain = compile_test(text, request.entry_point, request.setup)
    return PendingTest(index=index, text=text if plain is None else plain.call, plain=plain)


def _candidate(
    request: ExecutionRequest, tests: int, wall: float, calls: list[str] | None
) -> ChildInput:
    limits = request.limits
    payload = {
        "setup": request.setup,
        "program": request.program,
        "calls": calls,
        "cpu_seconds": limits.cpu_seconds,
        "max_bytes": limits.result_bytes,
    }
    held = 0 if calls is None else min(tests, _MAX_RESULTS_HELD)
    order = RunOrder(
        # The child's own timer stops each test at cpu_seconds; this stops one that defeats it.
        cpu_seconds=limits.cpu_seconds * (tests + 1),
        wall_seconds=wall,
        memory_bytes=limits.memory_mib << 20,
        output_bytes=limits.output_bytes,
        result_bytes=held * (limits.result_bytes + _FRAME_SLACK) + _FRAME_SLACK,
    )
    return ChildInput(order=order, payload=json.dumps(payload).encode())


def _judge(request: ExecutionRequest, tests: list[PendingTest], wall: float) -> ChildInput:
    limits = request.limits
    cpu_seconds = _JUDGE_CPU * limits.cpu_seconds
    payload = {
        "setup": request.setup,
        "tests": [_judged(test.text, request.entry_point, request.setup) for test in tests],
        "entry_point": request.entry_point,
        "cpu_seconds": cpu_seconds,
        "max_bytes": limits.result_bytes,
    }
    order = RunOrder(
        cpu_seconds=cpu_seconds * (len(tests) + 1),
        wall_seconds=wall,
        memory_bytes=limits.memory_mib + _JUDGE_MEMORY_MIB << 20,
        output_bytes=max(limits.output_bytes, _FRAME_SLACK * (len(tests) + 1)),
        result_bytes=_FRAME_SLACK * (len(tests) + 1),
    )
    return ChildInput(order=order, payload=json.dumps(payload).encode())


@lru_cache(maxsize=4_096)
def _judged(text: str, entry_point: str | None, setup: str) -> dict[str, object]:
    """The fields of a `JudgedTest`; a test that does not parse says so in the judge child."""
    try:
        test, helpers = ast.parse(text), bound_names(ast.parse(setup))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {"text": text, "own_builtin": None, "modules": []}
    bound = bound_names(test) | helpers | {entry_point}
    open_names = loaded_names(test) - bound
    own = open_names.pop() if entry_point is None and len(open_names) == 1 else None
    modules = sorted(dotted_names(test) - bound - {own})
    return {"text": text, "own_builtin": own, "modules": modules}

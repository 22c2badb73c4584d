"""A sandbox for the tests of demonstrations: judges by comparing with the reference."""

import asyncio

from redline.dsl.tasks import RepairTask
from redline.sandbox.records import TestResult, TestStatus, Verdict

PROGRAMS = (
    "def f(a):\n    if a < 3:\n        return 'low'\n    return a + 1",
    "def g(items):\n    total = 0\n    for v in items:\n        total += v\n    return total",
    "def h(n):\n    best = n * 2\n    return best - 1",
)


def reference_tasks(split="train"):
    """Tasks as the MBPP reader gives them."""
    return tuple(
        RepairTask(
            task_id=f"t/{n}",
            prompt=f"Write program {n}.",
            broken="",
            tests=(f"assert works({n})",),
            reference=program,
            split=split,
            source="mine",
        )
        for n, program in enumerate(PROGRAMS)
    )


class FakePool:
    """Stands in for SandboxPool; a program passes if it is one of `passing`."""

    def __init__(self, workers=1, settings=None, passing=PROGRAMS):
        self.asked = []
        self.passing = set(passing)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    def passes(self, program):
        return program in self.passing

    async def run(self, request):
        self.asked.append((request.tests, request.program))
        await asyncio.sleep(0)
        if self.passes(request.program):
            return Verdict(tests=(TestResult(status=TestStatus.PASS),), tier="none")
        try:
            compile(request.program, "<program>", "exec")
            status, detail = TestStatus.FAIL, f"wrong: {request.tests[0]}"
        except SyntaxError as error:
            status, detail = TestStatus.EXCEPTION, f"SyntaxError: {error.msg} (line {error.lineno})"
        result = TestResult(status=status, detail=detail, detail_blind=detail)
        return Verdict(tests=(result,), tier="none")

"""The same verdicts on a machine with three times more load than cores as on an idle one."""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from redline.sandbox.blocking import BlockingSandbox
from redline.sandbox.records import ExecutionRequest, Limits, Verdict

pytestmark = pytest.mark.slow

LIMITS = Limits(cpu_seconds=0.5, wall_seconds=60)
WORKS = "def f(x):\n    total = 0\n    for i in range({0}):\n        total += i % 7\n    return x"
PROGRAMS = [
    WORKS.format(10),
    WORKS.format(1_500_000),  # a good part of its CPU time
    WORKS.format(10**10),
    "def f(x): return x + 1",
    "def f(x): return [x] * 10**6",
    "def f(x): return 'x' * (1 << 40)",
    "def f(x): return f(x)",
    "def f(x):\n    import os\n    os._exit(x)",
    "def f(x):\n    while True: print('x' * 999)",
]
TESTS = ("assert f(2) == 2", "v = f(2)\nassert v == 2", "assert abs(f(2.5) - 2.5) < 1e-9")
REQUESTS = [ExecutionRequest(program=each, tests=TESTS, limits=LIMITS) for each in PROGRAMS] * 2


def burn() -> None:
    while True:
        pass


@contextmanager
def load() -> Iterator[None]:
    """Three busy processes per core, for as long as this lasts."""
    burners = [
        multiprocessing.get_context("spawn").Process(target=burn, daemon=True)
        for _ in range(3 * (os.cpu_count() or 1))
    ]
    for each in burners:
        each.start()
    try:
        yield
    finally:
        for each in burners:
            each.kill()
            each.join()


def statuses(answers: list[object]) -> list[list[tuple[str, str]]]:
    assert all(isinstance(answer, Verdict) for answer in answers), answers
    return [[(test.status.value, test.detail) for test in answer.tests] for answer in answers]


def test_load_changes_no_verdict() -> None:
    with BlockingSandbox(2) as sandbox:
        idle = statuses(sandbox.run_all(REQUESTS))
        with load():
            busy = statuses(sandbox.run_all(REQUESTS))
    assert busy == idle
    half = len(PROGRAMS)
    assert idle[:half] == idle[half:]
    assert [status for status, _ in idle[0]] == [status for status, _ in idle[1]] == ["pass"] * 3
    assert {status for program in idle for status, _ in program} == {
        *("pass", "fail", "timeout", "output", "memory", "exception", "crash"),
    }

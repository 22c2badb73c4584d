"""Published programs in the sandbox: broken ones fail, references pass.

The data is not part of the repository: it is looked for where REDLINE_SHARED_DATA says, else in
shared/data beside the repository, and the tests skip where it is absent.
"""

import json
import os
from pathlib import Path

import pytest

from redline.sandbox.blocking import run_all
from redline.sandbox.compile import compile_test
from redline.sandbox.records import ExecutionRequest, Limits

pytestmark = pytest.mark.slow

DATA = Path(
    os.environ.get("REDLINE_SHARED_DATA")
    or Path(__file__).resolve().parents[2].parent / "shared" / "data"
)
LIMITS = Limits(cpu_seconds=1.5, wall_seconds=60)


def rows(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no {path}; set REDLINE_SHARED_DATA to the folder that holds {name}")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def mbpp_request(row, program, stop_at_failure=False):
    """Its setup code uses what the program defines, so it goes in front of each test."""
    setup = (row["test_setup_code"] or "").strip()
    tests = tuple(f"{setup}\n{test}" if setup else test for test in row["test_list"])
    return ExecutionRequest(
        program=program, tests=tests, limits=LIMITS, stop_at_failure=stop_at_failure
    )


def plain_tests(requests):
    tests = [(test, request) for request in requests for test in request.tests]
    plain = [compile_test(test, request.entry_point, request.setup) for test, request in tests]
    return sum(each is not None for each in plain), len(plain)


def unexplained(verdicts):
    """Tests whose failure is not told, is told at length, or is no fault of the program."""
    return [
        test
        for verdict in verdicts
        for test in verdict.tests
        if test.status.value == "protocol"
        or (test.status.value != "pass") != bool(test.detail and test.detail_blind)
        or len(test.detail) > 800
    ]


def test_mbpp_references_pass_but_one():
    """Task 123 needs more CPU time than the limit."""
    data = rows("mbpp/mbpp.jsonl")
    requests = [mbpp_request(row, row["code"]) for row in data]
    verdicts = run_all(requests, workers=2)
    failing = [
        row["task_id"] for row, verdict in zip(data, verdicts, strict=True) if not verdict.passed
    ]
    assert failing == [123]
    assert unexplained(verdicts) == []
    plain, total = plain_tests(requests)
    assert plain / total > 0.99


def test_programs_known_to_fail_do_fail():
    data = rows("mbpp_llm_failing/mbpp_llm_failing.jsonl")
    requests = [mbpp_request(row, row["buggy_code"], stop_at_failure=True) for row in data]
    verdicts = run_all(requests, workers=2)
    assert sum(not verdict.passed for verdict in verdicts) == len(verdicts) == 658
    assert unexplained(verdicts) == []


@pytest.mark.parametrize(("field", "passes"), [("canonical_solution", 164), ("buggy_solution", 0)])
def test_humanevalfix(field, passes):
    requests = [
        ExecutionRequest(
            program=row["declaration"] + row[field],
            tests=(row["test"],),
            entry_point=row["entry_point"],
            limits=LIMITS,
        )
        for row in rows("humanevalfix/humanevalpack_python.jsonl")
    ]
    assert plain_tests(requests)[0] == 0  # each is a check function, for the judge child
    verdicts = run_all(requests, workers=2)
    assert (sum(verdict.passed for verdict in verdicts), len(verdicts)) == (passes, 164)
    assert unexplained(verdicts) == []

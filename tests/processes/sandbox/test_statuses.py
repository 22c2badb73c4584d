"""Every status, and the short texts that a policy reads."""

import pytest

from redline.sandbox.records import Limits, TestStatus

ADD = "def add(a, b):\n    return a - b"


def statuses(verdict):
    return [test.status.value for test in verdict.tests]


def test_a_correct_program_passes_on_both_paths(run, sandbox):
    verdict = run(
        "def add(a, b):\n    return a + b", "assert add(1, 2) == 3", "x = add(1, 1)\nassert x == 2"
    )
    assert verdict.passed
    assert verdict.tier == sandbox._pool.tier != "none"
    assert [test.detail for test in verdict.tests] == ["", ""]


def test_a_wrong_value_is_told_with_and_without_the_expectation(run):
    (test,) = run(ADD, "assert add(1, 2) == 3").tests
    assert test.status is TestStatus.FAIL
    assert test.detail == "add(1, 2) gave -1, expected 3"
    assert test.detail_blind == "add(1, 2) gave -1"


def test_a_failing_snippet_is_told_by_its_assertion(run):
    (test,) = run(ADD, "total = add(1, 2)\nassert total == 3, 'sum'").tests
    assert test.status is TestStatus.FAIL
    assert test.detail == "add(1, 2) gave -1, failed: assert total == 3, 'sum'"
    assert test.detail_blind == "add(1, 2) gave -1"


@pytest.mark.parametrize(
    ("program", "detail"),
    [
        ("def f(x):\n    return y", "NameError: name 'y' is not defined (line 2)"),
        ("def f(x):\n    return (", "SyntaxError: '(' was never closed (line 2)"),
        ("def f(x):\nreturn x", "IndentationError: expected an indented block after function "
         "definition on line 1 (line 2)"),
        ("def f(x):\n    return [][x]", "IndexError: list index out of range (line 2)"),
        ("def f(x):\n    return f(x)", "RecursionError: maximum recursion depth exceeded (line 2)"),
        ("def f(x):\n    assert not x, 'mine'", "AssertionError: mine (line 2)"),
        ("def f(x):\n    raise SystemExit(0)", "SystemExit: 0 (line 2)"),
        ("def f(x):\n    raise E(object())\nclass E(Exception): pass",
         "E: <object object at 0x...> (line 2)"),
        ("def f(x):\n    raise ValueError('a\\n' * 999)", None),
        ("def g(x):\n    return x", "NameError: name 'f' is not defined"),
        ("import os\nos.environ['HOME']", "KeyError: 'HOME' (line 2)"),
        ("import redline", "ModuleNotFoundError: No module named 'redline' (line 1)"),
        ("x = '\x00'", "SyntaxError: source code string cannot contain null bytes"),
        ("x = '\ud800'", None),
        ("class E(Exception):\n    def __str__(self): raise E\ndef f(x): raise E", "E (line 3)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("test", ["assert f(1) == 2", "value = f(1)\nassert value == 2"])
def test_an_exception_is_told_in_one_line(run, program, detail, test):
    (result,) = run(program, test).tests
    assert result.status is TestStatus.EXCEPTION
    assert result.detail == result.detail_blind
    assert "\n" not in result.detail
    assert len(result.detail) < 330
    if detail is not None:
        assert result.detail == detail


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ("while True: pass", "timeout", "timeout: f(1)"),
        ("return 'x' * (1 << 40)", "memory", "out of memory: f(1)"),
        ("import os; os._exit(0)", "crash", "exit with status 0: f(1)"),
        ("import os; os.abort()", "crash", "crash (SIGSEGV): f(1)"),
        ("while True: print('x' * 999)", "output", "too much output: f(1)"),
        ("return ['x'] * 10**6", "output", "too large a result: f(1)"),
        ("import os; os.write(4, b'nonsense' * 9); os._exit(0)", "protocol",
         "nonsense instead of a result: f(1)"),
    ],
)  # fmt: skip
def test_a_test_that_ends_the_child_costs_only_itself(run, body, status, detail):
    program = f"def f(x):\n    if x == 1:\n        {body}\n    return x"
    verdict = run(
        program, "assert f(0) == 0", "assert f(1) == 1", "assert f(2) == 2", "assert f(3)"
    )
    assert statuses(verdict) == ["pass", status, "pass", "pass"]
    assert verdict.tests[1].detail == detail


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("while True: pass", "timeout"),
        ("import os\nos._exit(0)", "crash"),
        ("x = [0] * 10**10", "memory"),
        ("print('x' * 10**6)", "output"),
        ("import os\nos.write(4, b'x')\nos._exit(0)", "protocol"),
    ],
)
def test_a_program_that_does_not_load_gives_every_test_its_status(run, program, status):
    verdict = run(program, "assert f(1) == 1", "x = 1\nassert x == 1")
    assert statuses(verdict) == [status] * 2
    assert verdict.tests[0].cpu_ms < 1000


def test_a_snippet_that_ends_the_child_costs_only_itself(run):
    program = "import os\ndef f(x):\n    if x == 1:\n        os._exit(0)\n    return x"
    tests = [f"value = f({n})\nassert value == {n}" for n in range(3)]
    assert statuses(run(program, *tests)) == ["pass", "crash", "pass"]


def test_no_time_left_is_not_run(run):
    program = "import time\ndef f(x):\n    time.sleep(60)"
    limits = Limits(cpu_seconds=0.5, wall_seconds=0.5)
    verdict = run(program, "assert f(1) == 1", "assert f(2) == 2", limits=limits)
    assert statuses(verdict) == ["timeout", "not_run"]
    assert verdict.tests[1].detail == "not run: no time was left"


def test_stop_at_failure_starts_no_further_child(run):
    program = "import os\ndef f(x):\n    os._exit(0)"
    verdict = run(program, "assert f(1) == 1", "assert f(2) == 2", stop_at_failure=True)
    assert statuses(verdict) == ["crash", "not_run"]


def test_no_tests_is_not_a_pass(run):
    assert not run("x = 1").passed


def test_an_empty_program_fails(run):
    assert statuses(run("", "assert f(1) == 1")) == ["exception"]


def test_the_setup_runs_before_the_program(run):
    assert run(
        "def f(x):\n    return x + K", "assert f(1) == 3", "assert f(K) == 4", setup="K = 2"
    ).passed


def test_a_snippet_binds_names_for_itself_only(run):
    verdict = run("def f(x):\n    return x", "y = f(1)\nassert y", "z = f(1)\nassert y == 1")
    assert statuses(verdict) == ["pass", "exception"]


def test_dataclasses_and_type_hints_find_their_module(run):
    program = (
        "from dataclasses import dataclass\nimport typing\n@dataclass\nclass P:\n    x: 'int'\n"
        "def f(x):\n    return P(x).x, len(typing.get_type_hints(P))"
    )
    assert run(program, "assert f(3) == (3, 1)").passed


def test_the_same_program_gives_the_same_text_every_time(run):
    program = "import random\ndef f(x):\n    return {str(random.random()) for _ in range(5)}"
    texts = {run(program, "assert f(1) == 3").tests[0].detail for _ in range(4)}
    assert len(texts) == 1

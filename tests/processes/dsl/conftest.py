"""A judge for tests: runs broken programs in a child process with limits, never in this one."""

import json
import subprocess
import sys

import pytest

_CHILD = """
import json, resource, signal, sys
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

class Late(BaseException):
    pass

def late(*_):
    raise Late

def outcome(program, tests):
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.2)
    try:
        space = {}
        exec(program, space)
        for test in tests:
            exec(test, space)
        return "pass"
    except Late:
        return "timeout"
    except BaseException as error:
        return type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)

signal.signal(signal.SIGVTALRM, late)
print(json.dumps([outcome(*work) for work in json.load(sys.stdin)]))
"""


def run_in_child(tasks, programs):
    """Outcome of each program: `pass`, `timeout` or the name of the exception."""
    work = [(program, task.tests) for task, program in zip(tasks, programs, strict=True)]
    done = subprocess.run(
        [sys.executable, "-I", "-c", _CHILD],
        input=json.dumps(work),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def child_outcomes():
    return run_in_child


@pytest.fixture(scope="session")
def child_judge():
    return lambda tasks, programs: [o == "pass" for o in run_in_child(tasks, programs)]

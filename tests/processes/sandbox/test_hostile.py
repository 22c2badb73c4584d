"""Programs that attack the sandbox: each costs only itself and leaves nothing behind."""

import os

import pytest

from redline.sandbox.records import Limits

pytestmark = pytest.mark.usefixtures("leaves_no_user", "leaves_nothing")

IS_ROOT = os.geteuid() == 0

ENDLESS_UNLESS_STOPPED = [
    ("endless loop", "while True: pass", "timeout"),
    ("big power", "return 7 ** (7 ** 12)", "timeout"),
    ("catastrophic regex", "import re; re.match(r'(a+)+$', 'a' * 40 + 'b')", "timeout"),
    (
        "all signals ignored",
        "import signal\n"
        "    for number in set(signal.Signals) - {9, 19}:\n"
        "        signal.signal(number, signal.SIG_IGN)\n"
        "    while True: pass",
        "timeout",
    ),
    ("sleep", "import time; time.sleep(60)", "timeout"),
    ("stopped by itself", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "exception"),
    ("memory bomb", "return bytearray(1 << 36)", "memory"),
    ("memory creep", "kept = []\n    while True: kept.append(bytearray(1_000_000))", "memory"),
    ("stdout flood", "while True: print('x' * 10_000)", "output"),
    ("stderr flood", "import os\n    while True: os.write(2, b'x' * 10_000)", "output"),
    ("result flood", "import os\n    while True: os.write(4, b'x' * 10_000)", "output"),
    (
        "memory file",
        "import os; fd = os.memfd_create('f')\n    while os.write(fd, b'x' * 9999): pass",
        "exception",
    ),
    ("large result", "return 'x' * 10_000_000", "output"),
    ("self-containing result", "x = []; x.append(x); return x", "output"),
    ("deep result", "x = []\n    for _ in range(9_999): x = [x]\n    return x", "output"),
    ("result that doubles", "x = [1]\n    for _ in range(60): x = [x, x]\n    return x", "output"),
    ("half a frame", "import os; os.write(4, b'\\x40\\0\\0'); os._exit(0)", "protocol"),
    ("result closed", "import os; os.close(4); return 1", "crash"),
    ("kill itself", "import os; os.kill(os.getpid(), 9)", "exception"),
    ("segfault", "import ctypes; ctypes.string_at(0)", "crash"),
    (
        "deep recursion",
        "import sys; sys.setrecursionlimit(10**9)\n    g = lambda: g()\n    g()",
        None,
    ),
    ("deep source", "eval('(' * 10_000 + ')' * 10_000)", None),
    ("clean exit", "import os; os._exit(0)", "crash"),
    ("system exit", "raise SystemExit(0)", "exception"),
    ("exit hook", "import atexit, os; atexit.register(os._exit, 0); return 1", "fail"),
    ("limits raised", "import resource as r; r.setrlimit(r.RLIMIT_CPU, (-1, -1))", "exception"),
    ("thread", "import _thread; _thread.start_new_thread(int, ())", "exception"),
    ("descriptors", "import os\n    while True: os.dup(1)", "exception"),
    ("foreign descriptor", "import os; os.write(3, b'x')", "exception"),
    ("control socket", "import os; [os.get_inheritable(n) for n in range(5, 30)]", "exception"),
]


@pytest.mark.parametrize(
    ("body", "status"),
    [pytest.param(body, status, id=name) for name, body, status in ENDLESS_UNLESS_STOPPED],
)
def test_an_attack_costs_only_its_own_test(run, body, status):
    program = f"def f(x):\n  if x == 2:\n    {body}\n  return x"
    limits = Limits(cpu_seconds=0.3, wall_seconds=1.5, memory_mib=128)
    verdict = run(
        program, "assert f(1) == 1", "assert f(2) == 3", "assert f(3) == 3", limits=limits
    )
    first, second, third = (test.status.value for test in verdict.tests)
    assert first == "pass"
    assert second == status or (status is None and second != "pass")
    assert third == ("pass" if verdict.wall_ms < 1500 else "not_run")


FORKS = {
    "fork": "os.fork()",
    "double fork": "os.fork() or os.fork() or time.sleep(60)",
    "daemon": "os.fork() or (os.setsid(), os.fork() or time.sleep(60))",
    "fork bomb": "[os.fork() for _ in iter(int, 1)]",
    "forkpty": "os.forkpty()",
    "spawn": "os.posix_spawn('/bin/sleep', ['sleep', '60'], {})",
    "raw clone": "ctypes.CDLL(None, use_errno=True).syscall(56, 17, 0, 0, 0, 0) == -1 or 1 / 0",
    "vfork": "ctypes.CDLL(None).syscall(58) == -1 or 1 / 0",
}


@pytest.mark.parametrize("act", FORKS.values(), ids=FORKS.keys())
def test_no_process_outlives_its_run(run, act):
    program = f"import os, time, ctypes\ndef f(x):\n    {act}\n    return 1"
    (test,) = run(program, "assert f(1) == 2").tests
    assert test.status.value in ("exception", "fail")  # refused; a raw call returns its -1


@pytest.mark.parametrize(
    "act",
    [
        "os.kill(os.getppid(), 9)",
        "os.kill(-1, 9)",
        "open(f'/proc/{os.getppid()}/environ').read()",
        "open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
        "open('/etc/shadow').read()",
        "os.setuid(0)",
    ],
)
def test_another_process_is_out_of_reach(run, act):
    (test,) = run(f"import os\ndef f(x):\n    {act}\n    return 1", "assert f(1) == 1").tests
    assert test.status.value == "exception"
    assert "PermissionError" in test.detail


def test_what_only_an_attack_uses_kills(run):
    program = "import os\ndef f(x):\n    return os.pidfd_open(os.getppid())"
    (test,) = run(program, "assert f(1) == 1").tests
    assert (test.status.value, test.detail) == ("crash", "crash (SIGSYS): f(1)")


def test_the_environment_is_empty(run):
    program = "import os\ndef f():\n    return dict(os.environ)"
    assert run(program, "assert f() == {}").passed


@pytest.mark.skipif(not IS_ROOT, reason="only root can give candidates a user of their own")
def test_the_candidate_is_not_root_and_has_no_groups(run):
    program = "import os\ndef f():\n    return 0 in os.getresuid() + os.getresgid(), os.getgroups()"
    assert run(program, "assert f() == (False, [])").passed


def test_one_execution_sees_nothing_of_another(run):
    """Neither objects nor memory of an earlier run are in a later one."""
    first = "import os\nkeep = bytes(range(97, 123)) * 3\ndef f():\n    return keep"
    run(first, "assert f() == 1")
    program = (
        "import gc\n"
        "wanted = bytes(range(97, 123)) * 3\n"
        "def f():\n"
        "    found = [v for o in gc.get_objects() if type(o) is dict for v in o.values()]\n"
        "    return sum(type(v) is bytes and v == wanted for v in found)"
    )
    assert run(program, "assert f() == 1").passed  # its own

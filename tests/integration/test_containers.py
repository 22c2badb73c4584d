"""Poorer machines: an unprivileged user, a container's default profile, old kernels."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

CONFINED = str(Path(__file__).parents[1] / "confined.py")
BARE = ("--no-landlock", "--no-seccomp")


CODE = """
import json, sys
from redline.sandbox.blocking import run_all
from redline.sandbox.records import ExecutionRequest, IsolationRefused
from redline.sandbox.settings import SandboxSettings
request = ExecutionRequest(program="def f(x):\\n    return x", tests=("assert f(1) == 1",))
try:
    (verdict,) = run_all([request], settings=SandboxSettings(**json.loads(sys.argv[1])), workers=2)
    print(verdict.tier, verdict.passed)
except IsolationRefused as error:
    print("refused", error)
"""


def confined(*flags, command, cwd=None):
    """Run a Python command in a poorer world."""
    path = os.pathsep.join(str(Path(each).absolute()) for each in sys.path if each)
    return subprocess.run(
        [sys.executable, CONFINED, *flags, sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path},
        cwd=cwd,
    )


def pool(*flags, **settings):
    """What a pool says in a poorer world."""
    done = confined(*flags, command=["-c", CODE, json.dumps(settings)])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def redline(folder, *words):
    """The command line where the kernel refuses every layer: status and stderr."""
    done = confined(*BARE, command=["-m", "redline.cluster.main", *words], cwd=folder)
    return done.returncode, done.stderr


def test_a_container_without_privileges_gives_landlock_or_the_filter():
    assert pool() in ("landlock True", "seccomp True")
    assert pool("--no-landlock") == "seccomp True"


def test_an_unprivileged_user_may_enter_namespaces():
    assert pool("--free") in ("namespaces True", "landlock True", "seccomp True")


def test_below_the_minimum_nothing_runs():
    told = pool(min_tier="namespaces")
    assert told.startswith("refused this machine does not give")
    assert "unshare(user): Operation not permitted (EPERM)" in told
    told = pool(*BARE)
    assert told.startswith("refused this machine does not give")
    assert "PR_SET_SECCOMP" in told and "EINVAL" in told
    assert "sandbox.min_tier=none with sandbox.allow_unsafe=true" in told


def test_no_isolation_at_all_has_to_be_allowed():
    settings = {"min_tier": "none", "allow_unsafe": True}
    assert pool(*BARE, **settings) == "none True"


@pytest.fixture
def folder():
    """A folder that another user may read, with a program and its test."""
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        (folder / "p.py").write_text("def f(a):\n    return a")
        (folder / "t.txt").write_text("assert f(1) == 1\n")
        folder.chmod(0o755)
        yield folder


def test_without_isolation_a_command_ends_with_one_clear_line(folder):
    run = ("sandbox", "run", "p.py", "--tests", "t.txt")
    status, told = redline(folder, *run)
    assert status == 2
    assert told.count("\n") == 1
    assert "PR_SET_SECCOMP" in told and "EINVAL" in told
    assert "sandbox.allow_unsafe=true" in told
    status, told = redline(folder, *run, "--min-tier", "none", "--allow-unsafe")
    assert (status, told) == (0, "")

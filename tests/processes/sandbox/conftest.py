"""One small pool for all tests of this room, and the proof that a test left nothing behind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from redline.sandbox.blocking import BlockingSandbox
from redline.sandbox.records import ExecutionRequest, Limits, Verdict

QUICK = Limits(cpu_seconds=0.3, wall_seconds=10.0, memory_mib=128)
CORRECT = ExecutionRequest(
    program="def add(a, b):\n    return a + b",
    tests=("assert add(1, 2) == 3", "total = add(2, 2)\nassert total == 4"),
    entry_point="add",
)

Run = Callable[..., Verdict]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[BlockingSandbox]:
    with BlockingSandbox(2) as blocking:
        yield blocking


@pytest.fixture
def run(sandbox: BlockingSandbox) -> Run:
    """Run one program with its tests; an infrastructure error fails the test."""

    def run(program: str, *tests: str, limits: Limits = QUICK, **fields: object) -> Verdict:
        request = ExecutionRequest(program=program, tests=tests, limits=limits, **fields)
        (answer,) = sandbox.run_all([request])
        assert isinstance(answer, Verdict), answer
        return answer

    return run


@pytest.fixture
def leaves_nothing(sandbox: BlockingSandbox) -> Iterator[None]:
    """After the test, correct programs pass on every server and no server has a child.

    A server adopts what its children leave, so a process that outlived its run would be there.
    """
    yield
    for answer in sandbox.run_all([CORRECT] * 4):
        assert isinstance(answer, Verdict), answer
        assert answer.passed, answer
    for server in server_pids(sandbox):
        assert children(server) == []


@pytest.fixture(scope="module")
def leaves_no_user(sandbox: BlockingSandbox) -> Iterator[None]:
    """After the module, only servers run as a candidate's user, as they do in namespaces."""
    servers = descendants()
    yield
    users = {1_000_000_000 + server for server in (*servers, *descendants())}
    found = {each.pid for each in psutil.process_iter() if user(each) in users}
    assert found <= descendants()


def server_pids(sandbox: BlockingSandbox) -> list[int]:
    """The processes that fork the candidates."""
    return [server.facts.pid for server in sandbox._pool._servers]


def descendants() -> set[int]:
    """All processes that this one started, and theirs."""
    return {each.pid for each in psutil.Process().children(recursive=True)}


def children(pid: int) -> list[int]:
    """Processes whose parent this one is."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def user(process: psutil.Process) -> int | None:
    """The user a process runs as; None if it just ended."""
    try:
        return process.uids().real
    except psutil.NoSuchProcess:
        return None

"""The pool: order, retries, replacement, cancellation, back to nothing when closed."""

import asyncio
import contextlib
import os
import signal
import time

import psutil
import pytest

from redline.sandbox.blocking import BlockingSandbox, run_all
from redline.sandbox.pool import SandboxPool
from redline.sandbox.records import ExecutionRequest, InfrastructureError, Limits, Verdict
from redline.sandbox.settings import SandboxSettings, limits_of

CORRECT = ExecutionRequest(program="def f(x):\n    return x", tests=("assert f(1) == 1",))
SLEEPER = ExecutionRequest(
    program="import time\ndef f(x):\n    time.sleep(x)\n    return x",
    tests=("assert f(0.3) == 0.3",),
)
LONG_SLEEPER = ExecutionRequest(
    program="import time\ndef f(x):\n    time.sleep(60)", tests=("assert f(1) == 1",)
)


@pytest.fixture(autouse=True)
def no_process_is_left():
    before = {each.pid for each in psutil.Process().children(recursive=True)}
    descriptors = psutil.Process().num_fds()
    yield
    assert {each.pid for each in psutil.Process().children(recursive=True)} - before == set()
    assert psutil.Process().num_fds() <= descriptors


def on_pool(work, workers=1, **settings):
    """Run a coroutine function on a pool of its own."""

    async def main():
        async with SandboxPool(workers, SandboxSettings(**settings)) as pool:
            return await work(pool)

    return asyncio.run(main())


def server_pids(pool):
    return sorted(server.facts.pid for server in pool._servers)


def descriptors(server):
    """How many the server has open; only root may see those of an untraceable process."""
    return server.num_fds() if os.geteuid() == 0 else 0


async def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


def test_answers_come_in_the_order_of_the_requests():
    requests = [
        ExecutionRequest(program=f"def f():\n    return {n}", tests=("assert f() == 3",))
        for n in range(8)
    ]
    passed = [verdict.passed for verdict in run_all(requests, workers=2)]
    assert passed == [n == 3 for n in range(8)]


def test_progress_counts_up():
    seen = []
    run_all([CORRECT] * 5, workers=1, progress=seen.append)
    assert seen == [1, 2, 3, 4, 5]


def test_waiting_requests_are_served_in_order():
    async def work(pool):
        order = []

        async def one(n):
            await pool.run(CORRECT)
            order.append(n)

        await asyncio.gather(*(one(n) for n in range(10)))
        return order

    assert on_pool(work) == list(range(10))


def test_a_server_killed_in_the_middle_is_replaced_and_its_run_retried():
    async def work(pool):
        (pid,) = server_pids(pool)
        running = asyncio.create_task(pool.run(SLEEPER))
        await until(lambda: psutil.Process(pid).children())
        (child,) = psutil.Process(pid).children()
        os.kill(pid, signal.SIGKILL)
        verdict = await running
        await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
        return verdict, pool.stats(), pid in server_pids(pool)

    verdict, stats, still_there = on_pool(work)
    assert verdict.passed
    assert (stats.retries, stats.servers_started, stats.infrastructure_errors) == (1, 2, 0)
    assert not still_there


def test_an_idle_server_that_died_costs_nothing():
    async def work(pool):
        for pid in server_pids(pool):
            os.kill(pid, signal.SIGKILL)
        return await pool.run_many([CORRECT] * 6)

    assert all(answer.passed for answer in on_pool(work, workers=2))


def test_a_server_that_hangs_is_killed_and_replaced(monkeypatch):
    monkeypatch.setattr("redline.sandbox.server._GRACE_SECONDS", 0.2)
    quick = ExecutionRequest(
        program=SLEEPER.program, tests=SLEEPER.tests, limits=Limits(wall_seconds=1.0)
    )

    async def work(pool):
        (pid,) = server_pids(pool)
        running = asyncio.create_task(pool.run(quick))
        await until(lambda: pool.stats().running)
        os.kill(pid, signal.SIGSTOP)
        return await running, pool.stats()

    verdict, stats = on_pool(work)
    assert verdict.passed
    assert stats.retries == 1


def test_after_all_retries_there_is_an_error_and_no_verdict():
    async def work(pool):
        async def kill_again_and_again():
            while True:
                for pid in server_pids(pool):
                    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                        if psutil.Process(pid).children():
                            os.kill(pid, signal.SIGKILL)
                await asyncio.sleep(0.005)

        killer = asyncio.create_task(kill_again_and_again())
        (answer,) = await pool.run_many([LONG_SLEEPER])
        killer.cancel()
        return answer, await pool.run(CORRECT), pool.stats()

    answer, after, stats = on_pool(work, max_retries=2)
    assert isinstance(answer, InfrastructureError)
    assert "no verdict after 3 attempts: fork server died" in str(answer)
    assert after.passed
    assert (stats.infrastructure_errors, stats.executions) == (1, 1)


def test_a_child_that_cannot_be_contained_is_no_verdict():
    """A limit that setrlimit refuses is a fault of the sandbox, not of the program."""
    limits = Limits(output_bytes=1 << 63)

    async def work(pool):
        return await pool.run_many(
            [ExecutionRequest(program=CORRECT.program, tests=CORRECT.tests, limits=limits), CORRECT]
        )

    broken, correct = on_pool(work, max_retries=1)
    assert isinstance(broken, InfrastructureError)
    assert "could not run a child" in str(broken)
    assert correct.passed


def test_a_payload_that_cannot_be_read_is_no_verdict(monkeypatch):
    monkeypatch.setattr("redline.sandbox.execution.json.dumps", lambda _: "no JSON")
    (answer,) = on_pool(lambda pool: pool.run_many([CORRECT]), max_retries=0)
    assert isinstance(answer, InfrastructureError)
    assert "before it was ready" in str(answer)


def test_a_cancelled_run_leaves_nothing_and_the_server_goes_on():
    async def work(pool):
        (pid,) = server_pids(pool)
        running = asyncio.create_task(pool.run(LONG_SLEEPER))
        await until(lambda: psutil.Process(pid).children())
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        verdict = await pool.run(CORRECT)
        return verdict, psutil.Process(pid).children(), server_pids(pool) == [pid]

    verdict, children, same_server = on_pool(work)
    assert verdict.passed
    assert children == []
    assert same_server


def test_a_cancelled_wait_does_not_lose_the_server():
    async def work(pool):
        running = asyncio.create_task(pool.run(SLEEPER))
        await until(lambda: pool.stats().running)
        waiting = asyncio.create_task(pool.run(CORRECT))
        await until(lambda: pool.stats().queued)
        waiting.cancel()
        last = asyncio.create_task(pool.run(CORRECT))
        return await running, await last, pool.stats().queued

    first, last, queued = on_pool(work)
    assert first.passed and last.passed
    assert queued == 0


def test_clients_take_turns():
    """A flood of one client does not keep another one's single program waiting behind it."""

    async def work(pool):
        order = []

        async def ask(client):
            await pool.run(CORRECT, client=client)
            order.append(client)

        blocker = asyncio.create_task(pool.run(SLEEPER))
        await until(lambda: pool.stats().running)
        flood = [asyncio.create_task(ask("flood")) for _ in range(20)]
        await until(lambda: pool.stats().queued == 20)
        await asyncio.gather(asyncio.create_task(ask("single")), *flood, blocker)
        return order

    assert on_pool(work).index("single") <= 1


def test_a_full_queue_sends_away_and_keeps_what_it_has():
    async def work(pool):
        runs = [asyncio.create_task(pool.run(SLEEPER)) for _ in range(3)]
        await until(lambda: pool.stats().queued == 2)
        with pytest.raises(InfrastructureError, match=r"2 executions wait already \(sandbox.max_q"):
            await pool.run(CORRECT)
        return await asyncio.gather(*runs)

    assert all(verdict.passed for verdict in on_pool(work, max_queued=2))


def test_many_requests_never_fill_the_queue():
    async def work(pool):
        seen = []
        answers = await pool.run_many([CORRECT] * 50, progress=seen.append)
        return answers, seen

    answers, seen = on_pool(work, max_queued=4)
    assert all(answer.passed for answer in answers)
    assert seen == list(range(1, 51))


def test_an_idle_server_that_lies_is_replaced():
    async def work(pool):
        first = server_pids(pool)

        async def lie(*inputs):
            raise InfrastructureError("nonsense")

        next(iter(pool._servers)).run = lie
        await until(lambda: pool.stats().servers_started == 2)
        return first, server_pids(pool), pool.stats().unhealthy, await pool.run(CORRECT)

    first, last, unhealthy, verdict = on_pool(work, health_check_seconds=0.05)
    assert first != last
    assert unhealthy == 1
    assert verdict.passed


def test_statuses_and_kills_are_counted_by_reason():
    program = "def f(x):\n    while x == 1: pass\n    while x == 2: print('x' * 999)\n    return x"
    tests = tuple(f"assert f({number}) == {number}" for number in range(4))
    limits = Limits(cpu_seconds=0.1, output_bytes=4096)

    async def work(pool):
        await pool.run(ExecutionRequest(program=program, tests=tests, limits=limits))
        return pool.stats()

    stats = on_pool(work)
    assert stats.statuses == {"pass": 2, "timeout": 1, "output": 1}
    assert stats.kills == {"SIGPROF": 1, "SIGXFSZ": 1}


def test_closing_ends_what_runs_and_what_waits():
    async def main():
        pool = SandboxPool(1)
        await pool.start()
        runs = [asyncio.create_task(pool.run(LONG_SLEEPER)) for _ in range(3)]
        await until(lambda: pool.stats().running and pool.stats().queued == 2)
        await pool.close()
        return await asyncio.gather(*runs, return_exceptions=True)

    answers = asyncio.run(main())
    assert [type(answer) for answer in answers] == [InfrastructureError] * 3


def test_a_pool_that_is_not_started_says_so():
    with pytest.raises(InfrastructureError, match="not started"):
        asyncio.run(SandboxPool(1).run(CORRECT))


def test_a_server_that_cannot_start_is_an_infrastructure_error(monkeypatch):
    monkeypatch.setattr("redline.sandbox.server.sys.executable", "/nonexistent/python")
    with pytest.raises(InfrastructureError, match="cannot start a fork server"):
        run_all([CORRECT])


def test_a_server_that_dies_at_its_start_tells_its_last_words(monkeypatch, tmp_path):
    script = tmp_path / "server.py"
    script.write_text("raise RuntimeError('no such kernel')")
    monkeypatch.setattr("redline.sandbox.server._SCRIPT", script)
    with pytest.raises(InfrastructureError, match="died: RuntimeError: no such kernel"):
        run_all([CORRECT])


def test_a_server_is_replaced_after_its_share_of_executions():
    async def work(pool):
        first = server_pids(pool)
        answers = await pool.run_many([CORRECT] * 7)
        await until(lambda: pool.stats().servers_started == 3)
        return first, server_pids(pool), answers

    first, last, answers = on_pool(work, recycle_after=3)
    assert all(answer.passed for answer in answers)
    assert first != last


@pytest.mark.parametrize("tier", ["seccomp", "namespaces"])
@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_the_pools_own_death_ends_servers_and_children(stopped, tier):
    """A pool killed by SIGKILL cannot clean up: its servers see their socket close, or die."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)

        async def main():
            async with SandboxPool(1, SandboxSettings(max_tier=tier)) as pool:
                running = asyncio.create_task(pool.run(LONG_SLEEPER))
                (server,) = server_pids(pool)
                await until(lambda: psutil.Process(server).children())
                os.write(writer, str(server).encode())
                await running

        try:
            asyncio.run(main())
        finally:
            os._exit(1)
    os.close(writer)
    server = psutil.Process(int(os.read(reader, 100)))
    os.close(reader)
    tree = [server, *server.children(recursive=True)]
    if stopped:
        for process in (server.parent(), *tree):
            if process.pid != pid:
                process.suspend()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert len(tree) == 2
    _, alive = psutil.wait_procs(tree, timeout=10)
    assert alive == []


def test_verdicts_do_not_depend_on_load():
    """Half the CPU limit of work under three times more runs than cores: all pass."""
    request = ExecutionRequest(
        program="import time\ndef f(x):\n    while time.process_time() < x: pass\n    return x",
        tests=("assert f(0.2) == 0.2",),
        limits=Limits(cpu_seconds=0.5),
    )
    workers = 3 * (os.cpu_count() or 1)
    assert all(verdict.passed for verdict in run_all([request] * workers, workers=workers))


def test_many_runs_leak_nothing():
    with BlockingSandbox(1) as sandbox:
        sandbox.run_all([CORRECT] * 20)
        server = psutil.Process(server_pids(sandbox._pool)[0])
        before = descriptors(server), psutil.Process().num_fds(), server.memory_info().rss
        answers = sandbox.run_all([CORRECT] * 200)
        after = descriptors(server), psutil.Process().num_fds(), server.memory_info().rss
    assert all(isinstance(answer, Verdict) and answer.passed for answer in answers)
    assert after[:2] == before[:2]
    assert after[2] - before[2] < 1 << 20


NONSENSE = """
import json, os, socket, sys
control = socket.socket(fileno=int(sys.argv[1]))
hello = {"pid": os.getpid(), "uid": None, "tier": sys.argv[2], "layers": []}
control.send(b"H" + json.dumps(hello).encode())
while control.recv(65536):
    control.send(ANSWER)
"""


@pytest.mark.parametrize("answer", [b"?", b"E", b"E\x09" + bytes(12), b"Ffault", b"H{}"])
def test_a_server_that_answers_nonsense_is_replaced(monkeypatch, tmp_path, answer):
    script = tmp_path / "server.py"
    script.write_text(NONSENSE.replace("ANSWER", repr(answer)))

    async def main():
        pool = SandboxPool(1)
        with monkeypatch.context() as patch:
            patch.setattr("redline.sandbox.server._SCRIPT", script)
            await pool.start()
        try:
            return await pool.run(CORRECT), pool.stats()
        finally:
            await pool.close()

    verdict, stats = asyncio.run(main())
    assert verdict.passed
    assert (stats.retries, stats.servers_started) == (1, 2)


def test_workers_must_be_positive():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        SandboxPool(0)


def test_settings_become_limits():
    settings = SandboxSettings(cpu_seconds=1.5, memory_mib=64)
    assert limits_of(settings) == Limits(cpu_seconds=1.5, memory_mib=64)
    assert limits_of(SandboxSettings()) == Limits()

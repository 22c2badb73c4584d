"""What a run tells while it lasts: its status file, its phases, its workers."""

import asyncio
import time

import cluster_fakes as fakes
import pytest
from stats_fakes import make_pool, make_sampler

from redline.cluster.display.progress import LineProgress
from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.load import load_config
from redline.cluster.metrics import curves_of
from redline.cluster.monitoring import polling
from redline.cluster.monitoring.definitions import Role
from redline.cluster.monitoring.monitor import Monitor, _tell_failure
from redline.cluster.monitoring.polling import FleetPoll
from redline.cluster.monitoring.watched_progress import WatchedProgress
from redline.cluster.observer import RunObserver
from redline.cluster.run_directory import RunDirectory
from redline.cluster.status_file import (
    RunState,
    WorkerState,
    WorkerStatus,
    read_status,
    write_status,
)


@pytest.fixture
def config(tmp_path):
    return load_config("demo", [f"run_root={tmp_path}", "name=mine"])


def test_the_status_follows_a_run_to_its_end(config):
    with RunDirectory.create(config) as directory:
        with Monitor(config, directory) as monitor:
            monitor.enter(RunState.TRAINING)
            assert read_status(directory.path).state is RunState.TRAINING
            report = fakes.make_report(1)
            monitor.on_step(1, report, curves_of(report))
            status = read_status(directory.path)
            assert (status.step, status.version, status.attempt) == (1, 1, 1)
            assert status.curves["rollout/solve_rate"] == 0.5
            assert status.value("redline_training") == 1
            assert status.value("redline_dropped_trajectories", reason="stale") == 0
            monitor.on_restarts(Role.SAMPLER, 1)
            monitor.on_checkpoint(2.5)
            monitor.on_heldout({"heldout/greedy": 0.75})
            monitor.enter(RunState.FINISHED)
        status = read_status(directory.path)
    assert status.state is RunState.FINISHED
    assert status.value("redline_training") == 0
    assert status.value("redline_worker_restarts", role="sampler") == 1
    assert status.value("redline_last_phase_seconds", phase="checkpoint") == 2.5
    assert status.value("redline_heldout_solve_rate", arm="greedy") == 0.75
    assert not status.late()


@pytest.mark.parametrize(
    ("error", "state", "problem"),
    [
        (WorkFailed("sampler-0 was\nlost"), RunState.FAILED, "sampler-0 was lost"),
        (KeyboardInterrupt(), RunState.STOPPED, ""),
    ],
)
def test_the_status_tells_how_a_run_ended(config, error, state, problem):
    with RunDirectory.create(config) as directory:
        directory.keep()
        with pytest.raises(type(error)), Monitor(config, directory):
            raise error
        status = read_status(directory.path)
    assert (status.state, status.problem) == (state, problem)


def test_a_refused_start_leaves_no_status_behind(config, tmp_path):
    with (
        pytest.raises(UserError),
        RunDirectory.create(config) as directory,
        Monitor(config, directory),
    ):
        raise UserError("later")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr("redline.cluster.monitoring.monitor._SECONDS_BETWEEN_WRITES", 0.02)


def test_the_file_is_renewed_while_nothing_happens(config, often):
    with RunDirectory.create(config) as directory, Monitor(config, directory) as monitor:
        monitor.write()
        first = read_status(directory.path).written_at
        deadline = time.monotonic() + 30
        while read_status(directory.path).written_at == first:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_phases_and_what_they_wait_for_are_told(config, capsys):
    display = LineProgress()
    with RunDirectory.create(config) as directory, Monitor(config, directory) as monitor:
        progress = WatchedProgress(display, monitor)
        with progress.phase("starting workers") as phase:
            phase.wait_for(["sampler-0"])
            status = monitor.status()
            assert (status.phases, status.waiting_for) == (["starting workers"], ["sampler-0"])
        assert monitor.status().phases == []
        progress.say("hello")
        progress.step(1, 2, fakes.make_report())
    progress.close()
    told = capsys.readouterr().err
    assert "starting workers took" in told and "hello" in told and "step 1/2" in told


def test_a_disk_without_room_does_not_end_the_watch(config, often, monkeypatch):
    with RunDirectory.create(config) as directory, Monitor(config, directory) as monitor:
        monitor.write()
        first = read_status(directory.path).written_at
        calls = []

        def fail(folder, status):
            calls.append(status)
            if len(calls) == 1:
                raise OSError(28, "No space left on device")
            write_status(folder, status)

        monkeypatch.setattr("redline.cluster.monitoring.monitor.write_status", fail)
        deadline = time.monotonic() + 30
        while read_status(directory.path).written_at == first:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert len(calls) >= 2


def test_the_observer_tells_curves_status_and_progress(config, tmp_path):
    with (
        RunDirectory.create(config) as directory,
        Monitor(config, directory) as monitor,
    ):
        display = LineProgress()
        observer = RunObserver(config, directory, display, monitor, time.monotonic())
        observer.open(0)
        observer.on_heldout({"greedy": 0.25, "sampled": 0.5})
        observer.on_step(fakes.make_report(1))
        observer.on_checkpoint(1, 0.5)
        observer.close()
        display.close()
        status = monitor.status()
        assert (status.step, status.trajectories, status.tokens) == (1, 1, 10)
        assert status.curves["heldout/sampled"] == 0.5
        assert status.value("redline_phase_seconds", phase="checkpoint") == 0.5
        resumed = RunObserver(config, directory, display, monitor, time.monotonic())
        resumed.open(1)
        resumed.close()
        assert monitor.status().trajectories == 1


def test_a_role_whose_last_worker_is_gone_counts_none(config):
    worker = WorkerStatus(name="sandbox-0", role=Role.SANDBOX, state=WorkerState.SERVING)
    with RunDirectory.create(config) as directory, Monitor(config, directory) as monitor:
        for workers, serving in (([worker], 1), ([], 0)):
            monitor._take_workers(workers)
            status = monitor.status()
            assert status.value("redline_workers", role="sandbox", state="serving") == serving


def test_a_watch_that_breaks_is_told_of_and_ends_nothing(capsys):
    async def scenario():
        async def broken():
            raise ValueError("no such\nmetric")

        watching = asyncio.ensure_future(broken())
        watching.add_done_callback(_tell_failure)
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(scenario())
    told = capsys.readouterr().err
    assert told == "metrics and workers' states are no longer told: no such metric\n"


class Remote:
    """A method of a fake actor."""

    def __init__(self, answer):
        self._answer = answer

    async def remote(self):
        answer = self._answer
        if isinstance(answer, asyncio.Event):
            await answer.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Handle:
    """A fake actor that tells the same each time."""

    def __init__(self, stats):
        self.stats = Remote(stats)
        self.node_address = Remote("10.0.0.1")


async def plainly(_name, call):
    return await call


async def poll_of(handles, until):
    """A poll of these handles, once its workers satisfy `until`."""
    heard = []
    poll = FleetPoll(lambda: handles, lambda *told: heard.append(told), answer=plainly, every=0.01)
    deadline = time.monotonic() + 30
    try:
        while True:
            gone = poll.refresh()
            workers = {worker.name: worker for worker in poll.workers()}
            if until(workers):
                return workers, heard, gone
            assert time.monotonic() < deadline, workers
            await asyncio.sleep(0.01)
    finally:
        poll.close()


def states(workers):
    return {name: worker.state for name, worker in workers.items()}


def test_workers_are_followed_and_a_lost_one_is_told_of():
    handles = {
        "sampler-0": Handle(make_sampler()),
        "sampler-1": Handle(make_sampler(version=None)),
        "sampler-2": Handle(make_sampler(problem="its process died")),
        "sandbox-0": Handle(make_pool()),
        "sandbox-1": Handle(WorkFailed("sandbox-1 was lost: killed")),
        "sandbox-2": Handle(asyncio.Event()),
    }
    expected = {
        "sampler-0": WorkerState.SERVING,
        "sampler-1": WorkerState.STARTING,
        "sampler-2": WorkerState.LOST,
        "sandbox-0": WorkerState.SERVING,
        "sandbox-1": WorkerState.LOST,
        "sandbox-2": WorkerState.STARTING,
    }
    workers, heard, _ = asyncio.run(poll_of(handles, lambda found: states(found) == expected))
    assert workers["sampler-0"].node == "10.0.0.1"
    assert workers["sampler-0"].version == 2
    assert workers["sandbox-0"].numbers["queued"] == 7
    assert workers["sandbox-1"].problem == "sandbox-1 was lost: killed"
    assert {name for name, _ in heard} >= {"sampler-0", "sandbox-0"}


def test_a_worker_that_falls_silent_keeps_its_numbers(monkeypatch):
    monkeypatch.setattr(polling, "SILENT_SECONDS", 0.05)
    handle = Handle(make_pool())

    def silence(found):
        if found["sandbox-0"].numbers:
            handle.stats = Remote(asyncio.Event())
        return found["sandbox-0"].state is WorkerState.SILENT

    workers, _, _ = asyncio.run(poll_of({"sandbox-0": handle}, silence))
    assert workers["sandbox-0"].numbers["executions"] == 50


def test_a_replaced_worker_is_asked_anew_and_a_removed_one_forgotten():
    handles = {"sampler-0": Handle(make_sampler(version=1)), "sampler-1": Handle(make_sampler())}

    async def scenario():
        poll = FleetPoll(lambda: handles, lambda *_: None, answer=plainly, every=0.01)
        try:
            assert poll.refresh() == []
            await asyncio.sleep(0.05)
            handles["sampler-0"] = Handle(make_sampler(version=7))
            del handles["sampler-1"]
            assert poll.refresh() == ["sampler-1"]
            await asyncio.sleep(0.2)
            return poll.workers()
        finally:
            poll.close()

    (worker,) = asyncio.run(scenario())
    assert (worker.name, worker.version) == ("sampler-0", 7)

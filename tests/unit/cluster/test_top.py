"""`redline top`: a run at a glance, one snapshot as JSON, and one line when there is nothing."""

import json
import time

import cluster_fakes as fakes
import pytest
from rich.console import Console
from stats_fakes import make_pool, make_sampler

from redline.cluster.display.top_view import view
from redline.cluster.main import run
from redline.cluster.metrics import Metrics, curves_of
from redline.cluster.monitoring.board import Board
from redline.cluster.monitoring.numbers import Numbers, own_numbers
from redline.cluster.status_file import (
    RunState,
    RunStatus,
    WorkerState,
    WorkerStatus,
    write_status,
)


def make_status(**changes):
    board = Board()
    numbers = Numbers(board)
    report = fakes.make_report(3)
    numbers.take_step(report, curves_of(report), 3)
    numbers.take("sampler-0", make_sampler())
    numbers.take("sandbox-0", make_pool())
    board.set("redline_max_staleness", 1)
    board.add("redline_dropped_trajectories", 4, reason="no_signal")
    now = time.time()
    values = {
        "run": "mine", "state": RunState.TRAINING, "pid": 4711, "host": "here", "attempt": 2,
        "started_at": now - 65, "written_at": now, "steps": 10, "step": 3, "step_at": now - 1,
        "version": 3, "samples": board.samples(),
        "workers": [
            WorkerStatus(
                name="sampler-0", role="sampler", state=WorkerState.SERVING, node="10.0.0.1",
                version=3, numbers=own_numbers(make_sampler()),
            ),
            WorkerStatus(
                name="sandbox-0", role="sandbox", state=WorkerState.LOST, problem="it was killed",
            ),
        ],
    }  # fmt: skip
    return RunStatus(**{**values, **changes})


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("name: mine\n")
    return folder


def shown(folder, status):
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(view(folder, status))
    return console.export_text()


def test_the_view_shows_throughput_learning_fleet_and_drops(folder):
    metrics = Metrics(folder / "metrics", first_step=0)
    for step in (1, 2, 3):
        metrics.write(step, fakes.make_report(step))
    text = shown(folder, make_status())
    for part in (
        "mine", "training", "step 3/10", "1:05", "attempt 2",
        "trajectories/s", "tokens/s sampled", "solved", "50.0%", "0.00 (max 0 of 1)",
        "sampler-0", "serving", "10.0.0.1", "5 episodes running", "it was killed",
        "dropped, no_signal", "ended by SIGSYS", "▇",
    ):  # fmt: skip
        assert part in text or part == "▇", f"{part!r} is missing:\n{text}"
    assert "█" in text  # three equal solve rates


def test_a_run_that_starts_shows_what_it_waits_for(folder):
    status = make_status(
        state=RunState.STARTING, phases=["starting workers"], waiting_for=["learner"], samples=[],
        step=0, workers=[],
    )  # fmt: skip
    assert "starting workers, waiting for learner" in shown(folder, status)


def test_a_driver_that_is_gone_and_a_failed_run_are_told_of(folder):
    assert "process 4711 on here is gone" in shown(folder, make_status(written_at=time.time() - 99))
    failed = make_status(state=RunState.FAILED, problem="no sampler is left")
    assert "no sampler is left" in shown(folder, failed)


def test_one_snapshot_as_json(folder, capsys):
    write_status(folder, make_status())
    assert run(["top", "mine", "--run-root", str(folder.parent), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["run"], record["step"], record["late"]) == ("mine", 3, False)
    assert record["workers"][0]["name"] == "sampler-0"
    assert {"name", "labels", "value"} == set(record["samples"][0])


def test_it_is_shown_once_or_until_the_run_is_over(folder, capsys):
    write_status(folder, make_status())
    assert run(["top", str(folder), "--once"]) == 0
    assert "step 3/10" in capsys.readouterr().out
    write_status(folder, make_status(state=RunState.FINISHED))
    assert run(["top", str(folder)]) == 0
    assert "finished" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--json"], ["--once"], []])
def test_nothing_to_see_is_one_line(folder, capsys, options):
    root = str(folder.parent)
    for name, complaint in (("mine", "has no status.json"), ("yours", "no run 'yours'")):
        assert run(["top", name, "--run-root", root, *options]) == 2
        told = capsys.readouterr()
        assert complaint in told.err and told.err.count("\n") == 1
        assert told.out == ""


def test_a_half_written_status_is_one_line(folder, capsys):
    (folder / "status.json").write_text('{"format": 1, "run": "mi')
    assert run(["top", str(folder), "--json"]) == 2
    told = capsys.readouterr().err
    assert "is no status of a run" in told and told.count("\n") == 1

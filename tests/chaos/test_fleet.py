"""A run that is scaled, and whose sampler, engine and sandbox are killed, goes on all the same."""

import json
import os
import signal

import psutil
import pytest
from redline_driving import SMALL, Driver, assert_gone_within, kill_drivers, make_model

from redline.replay.catalog import GroupState, read_catalog

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(900)]

QUICK = (
    "rollout.engine.enforce_eager=true", "fleet.heartbeat_every=0.5", "fleet.backoff=0.1",
    "deadlines.heartbeat=120", "max_seconds=0", "replay.keep_committed=100000",
    "rollout.num_cpus=0.1", "learner.num_cpus=0.1", "eval.tasks=0",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_driver_left():
    yield
    kill_drivers()


def test_a_run_outlives_its_workers_and_is_scaled_from_one_sampler_to_two_and_back(tmp_path):
    make_model(tmp_path / "model")
    run = Driver(
        "train", "--config", "demo", "name=hurt", "model=./model", "steps=100000", *SMALL, *QUICK,
        cwd=tmp_path,
    )  # fmt: skip
    run.wait_for_line("step      3/100000")
    refused = scale(tmp_path, "samplers=99", status=2)
    assert "the cluster has no place for sampler" in refused
    assert "no run at runs/absent" in scale(tmp_path, "samplers=2", "--run", "absent", status=2)

    assert "2 wanted" in scale(tmp_path, "samplers=2")
    kill(run, "VLLM::EngineCore", oldest=True)
    assert "its process died" in run.wait_for_line("sampler-0 is lost")
    kill(run, "ray::SandboxActor")
    run.wait_for_line("sandbox-0 is lost")
    scale(tmp_path, "samplers=2", "sandboxes=2", "--wait")
    go_on(run, tmp_path)

    kill(run, "ray::Sampler")
    run.wait_for_line("a new sampler takes its place")
    go_on(run, tmp_path)
    scale(tmp_path, "samplers=1", "sandboxes=1", "--wait")
    go_on(run, tmp_path)

    pids = run.descendants()
    run.interrupt()
    assert run.finish(seconds=60) == 130, run.complaint()
    assert_gone_within(pids, 10)
    assert "no job is running in runs" in scale(tmp_path, "samplers=2", status=2)
    check_store(tmp_path)


def scale(folder, *arguments, status=0):
    """What `redline scale` says of the running job."""
    command = Driver("scale", *arguments, cwd=folder)
    assert command.finish(seconds=300) == status, command.complaint()
    return command.complaint()


def kill(run, title, *, oldest=False):
    """SIGKILL the newest process of the run with this title, or the oldest."""
    found = [psutil.Process(pid) for pid in run.descendants()]
    victims = [process for process in found if title in command_line(process)]
    assert victims, f"no {title} among {[command_line(process)[:60] for process in found]}"
    choose = min if oldest else max
    os.kill(choose(victims, key=lambda process: process.create_time()).pid, signal.SIGKILL)


def command_line(process):
    """What a process is called by; nothing when it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def go_on(run, folder):
    """Wait until steps are trained on what was sampled after this moment."""
    now = len((folder / "runs/hurt/metrics/steps.jsonl").read_text().splitlines())
    run.wait_for_line(f"step {now + 5:>6}/100000")


def check_store(folder):
    """Each step trained four groups, each group once, none dropped and none too old."""
    lines = [json.loads(line) for line in
             (folder / "runs/hurt/metrics/steps.jsonl").read_text().splitlines()]  # fmt: skip
    assert all(line["staleness/max"] <= 1 for line in lines)
    assert all(line["dropped/aborted"] == 0 for line in lines)
    catalog = read_catalog(folder / "runs/hurt/replay")
    assert catalog.problems == ()
    names = [group.group_id for group in catalog.groups]
    assert len(names) == len(set(names))
    assert catalog.count(GroupState.DROPPED) == 0
    committed = sorted(
        int(g.group_id[1:]) for g in catalog.groups if g.state is GroupState.COMMITTED
    )
    assert len(committed) == 4 * lines[-1]["step"]
    # What was begun before the kills was trained, though its samplers were lost.
    assert committed[:-16] == list(range(len(committed) - 16))

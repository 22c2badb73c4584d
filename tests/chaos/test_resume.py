"""Ctrl-C and `kill -9` of the driver in the middle of a run, and what a resumed run makes of it."""

import json
import time

import pytest
from redline_driving import SMALL, Driver, assert_gone_within, kill_drivers, make_model

from redline.replay.catalog import GroupState, read_catalog, read_groups
from redline.replay.in_flight import load_in_flight

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(autouse=True)
def _no_driver_left():
    yield
    kill_drivers()


def train(folder, *more):
    return Driver("train", "--config", "demo", "name=hurt", *more, cwd=folder)


def test_an_interrupted_and_a_killed_run_go_on_without_loss(tmp_path):
    make_model(tmp_path / "model")
    # With so few episodes at once the learner waits for groups: some are always in flight.
    interrupted = train(
        tmp_path, "model=./model", "steps=1000", *SMALL, "rollout.max_turns=4",
        "rollout.concurrent_episodes=6",
    )  # fmt: skip
    interrupted.wait_for_line("step    3/1000")
    pids = interrupted.descendants()
    began = time.monotonic()
    interrupted.interrupt()
    assert interrupted.finish(seconds=30) == 130, interrupted.complaint()
    assert time.monotonic() - began < 25, interrupted.complaint()  # 15 s on a machine at rest
    assert_gone_within(pids, 5)
    saved = latest(tmp_path)
    gave_up = "the step takes too long to wait for" in interrupted.complaint()
    assert saved >= (2 if gave_up else 3)
    begun = load_in_flight(tmp_path / "runs/hurt/replay")
    assert begun or gave_up, interrupted.complaint()

    killed = train(tmp_path, "--resume")
    killed.wait_for_line(f"step {saved + 3:>4}/1000")
    pids = killed.descendants()
    killed.process.kill()
    killed.finish()
    assert_gone_within(pids, 60)
    kept = latest(tmp_path)
    assert kept > saved

    steps = saved + 6
    resumed = train(tmp_path, "--resume", f"steps={steps}", "--json")
    assert resumed.finish() == 0, resumed.complaint()
    assert resumed.result()["steps"] == steps
    check_store(tmp_path, steps)
    check_went_on(tmp_path, begun)


def latest(folder):
    name = (folder / "runs/hurt/checkpoints/latest").read_text().strip()
    return json.loads((folder / "runs/hurt/checkpoints" / name / "state.json").read_text())["step"]


def check_store(folder, steps):
    """Each step trained four groups, each group once, the oldest first and none dropped."""
    lines = (folder / "runs/hurt/metrics/steps.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, steps + 1))
    assert all(json.loads(line)["staleness/max"] <= 1 for line in lines)
    catalog = read_catalog(folder / "runs/hurt/replay")
    assert catalog.count(GroupState.COMMITTED) == 4 * steps
    assert catalog.count(GroupState.DROPPED) == 0
    committed = {int(g.group_id[1:]) for g in catalog.groups if g.state is GroupState.COMMITTED}
    # Every group that was begun early was trained, the ones in flight at the kill included.
    assert set(range(4 * steps - 8)) <= committed


def check_went_on(folder, begun):
    """Episodes that were cut have the turns that they had, token by token, and went on."""
    stored = {group.group_id: group for group in read_groups(folder / "runs/hurt/replay")}
    for group in begun:
        whole = {t.sample_index: t for t in stored[group.group_id].trajectories}
        for before in group.trajectories:
            after = whole[before.sample_index]
            for had, has in zip(before.turns, after.turns, strict=False):
                assert had.action_token_ids.tolist() == has.action_token_ids.tolist()
                assert had.weight_versions.tolist() == has.weight_versions.tolist()
            assert len(after.turns) >= len(before.turns)

"""A run whose samplers are of two kinds, with other engines, other places and another precision."""

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from redline_driving import SMALL, Driver, assert_gone_within, kill_drivers, make_model

from redline.cluster.load import load_saved
from redline.replay.catalog import read_catalog, read_groups

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(900)]

KINDS = (
    "rollout.num_cpus=0.2", "learner.num_cpus=0.2", "sandbox.num_cpus=0.1", "ray.num_cpus=1",
    "rollout.engine.enforce_eager=true", "rollout.resources.wide=1",
    "rollout.kinds.narrow.num_cpus=0.1", "rollout.kinds.narrow.share=0.5",
    "rollout.kinds.narrow.concurrent_episodes=8",
    "rollout.kinds.narrow.engine.kv_cache_gib=0.125", "rollout.kinds.narrow.engine.max_num_seqs=8",
    "rollout.kinds.narrow.engine.dtype=bfloat16", "rollout.kinds.narrow.probe_tolerance=0.05",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_driver_left():
    yield
    kill_drivers()


def test_both_kinds_sample_under_every_version_and_one_is_scaled_alone(tmp_path):
    make_model(tmp_path / "model")
    run = Driver(
        "train", "--config", "demo", "name=mixed", "model=./model", "steps=100000", *SMALL, *KINDS,
        "eval.tasks=4", "replay.keep_committed=100000", cwd=tmp_path,
    )  # fmt: skip
    run.wait_for_line("weights proven on 2 samplers")
    run.wait_for_line("step      6/100000")
    refused = Driver("scale", "samplers=2", "narrow_samplers=2", cwd=tmp_path)
    assert refused.finish() == 2
    assert "no place for sampler 1 of 1" in refused.complaint()
    scaled = Driver(
        "scale", "narrow_samplers=2", "--wait", "--timeout", 600, "--json", cwd=tmp_path
    )
    assert scaled.finish(620) == 0, scaled.complaint()
    assert {
        name: [worker["name"] for worker in scaled.result()[name]["workers"]]
        for name in ("samplers", "narrow_samplers")
    } == {"samplers": ["sampler-0"], "narrow_samplers": ["sampler-narrow-0", "sampler-narrow-1"]}

    pids = run.descendants()
    run.interrupt()
    assert run.finish(seconds=60) == 130, run.complaint()
    assert_gone_within(pids, 10)
    folder = tmp_path / "runs/mixed"
    assert load_saved(folder / "config.yaml").rollout.kinds["narrow"].samplers == 2
    check_steps(folder)
    check_groups(folder / "replay")


def check_steps(folder):
    """Every push was proven within the wider tolerance, and no token was too old."""
    lines = (folder / "metrics/steps.jsonl").read_text().splitlines()
    for step in map(json.loads, lines):
        assert 0 < step["weights/max_abs_dlogp"] <= 0.05
        assert step["staleness/max"] <= 1
        assert step["dropped/aborted"] == 0


def check_groups(store):
    """Both kinds sampled whole groups, under the first versions and later ones."""
    assert read_catalog(store).problems == ()
    versions = defaultdict(set)
    for group in read_groups(store):
        (worker,) = {trajectory.worker for trajectory in group.trajectories}
        for trajectory in group.trajectories:
            for turn in trajectory.turns:
                versions[worker] |= set(np.unique(turn.weight_versions).tolist())
    for worker in ("sampler-0", "sampler-narrow-0"):
        assert len(versions[worker]) >= 3, versions

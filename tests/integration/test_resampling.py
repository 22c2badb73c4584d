"""A whole run whose groups without a signal are replaced before the step would lose them.

The policy is the demo's, on tasks with one fault: four groups of ten have a signal, the others are
solved in the same way four times. With a random policy no replacement would help.
"""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from redline_driving import Driver, kill_drivers

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(900)]

STEPS, PER_STEP, GROUP, LIMIT = 3, 4, 4, 20
RUN = (
    f"steps={STEPS}", "max_seconds=0", "max_staleness=1", "eval.tasks=0", "tasks.train_count=40",
    "tasks.heldout_count=2", "tasks.heldout_family_count=0", "tasks.edits_min=1",
    "tasks.edits_max=1", f"rollout.group_size={GROUP}",
    "rollout.engine.max_model_len=512", "rollout.engine.kv_cache_gib=0.25",
    "rollout.engine.enforce_eager=true", f"learner.groups_per_step={PER_STEP}",
    "learner.loss.signal=advantage", "learner.loss.no_signal=resample",
    f"learner.loss.max_resampled={LIMIT}",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _no_driver_left():
    yield
    kill_drivers()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished run, and what it said."""
    folder = tmp_path_factory.mktemp("resampling")
    driver = Driver("train", "--config", "demo", "name=again", *RUN, cwd=folder)
    assert driver.finish() == 0, driver.complaint()
    return folder / "runs/again", driver.complaint()


@pytest.fixture(scope="module")
def steps(run):
    lines = (run[0] / "metrics/steps.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_step_is_topped_up_for_each_group_without_a_signal(run, steps):
    assert [step["step"] for step in steps] == list(range(1, STEPS + 1))
    for step in steps:
        added, dull = step["rollout/resampled_groups"], step["learner/no_signal_groups"]
        assert added == min(dull, LIMIT)
        trained = PER_STEP + added - dull
        assert step["trajectories"] == GROUP * trained
        assert step["dropped/no_signal"] == GROUP * dull
    assert sum(step["rollout/resampled_groups"] for step in steps) > 0
    assert " resampled)" in run[1]


def test_the_policy_is_trained_on_the_others(steps):
    assert all(step["trajectories"] > 0 for step in steps)
    assert all(step["learner/grad_norm"] > 0 for step in steps)
    assert all(step["learner/skipped_steps"] == 0 for step in steps)
    assert all(0 < step["weights/max_abs_dlogp"] <= 1e-3 for step in steps)
    assert all(step["staleness/max"] <= 1 for step in steps)


def test_replaced_groups_are_committed_with_their_batch(run, steps):
    from redline.replay.catalog import GroupState, read_catalog

    catalog = read_catalog(run[0] / "replay")
    added = sum(step["rollout/resampled_groups"] for step in steps)
    assert catalog.count(GroupState.COMMITTED) == STEPS * PER_STEP + added
    assert catalog.problems == ()
    names = [group.group_id for group in catalog.groups]
    assert len(names) == len(set(names))

"""What a batch lacks, judged by the loss's own signal."""

from dataclasses import replace

import cluster_fakes as fakes
import pytest

from redline.cluster.loop.resampling import Resampling
from redline.learner.settings import LossSettings

RESAMPLE = LossSettings(no_signal="resample", max_resampled=3)


def group(number, *rewards):
    """A group of one-turn trajectories with these rewards."""
    made = fakes.make_group(f"g{number}", "t", [0])
    (only,) = made.trajectories
    return replace(
        made,
        trajectories=tuple(
            replace(only, turns=(replace(only.turns[0], reward=reward),)) for reward in rewards
        ),
    )


def test_only_resampling_replaces():
    assert Resampling.of(LossSettings()) is None
    assert Resampling.of(LossSettings(no_signal="keep")) is None


@pytest.mark.parametrize("estimator", ["grpo", "dr_grpo", "rloo"])
def test_a_batch_lacks_its_groups_without_signal_that_nothing_replaces_yet(estimator):
    resampling = Resampling.of(replace(RESAMPLE, estimator=estimator))
    batch = [group(0, 1.0, 0.0), group(1, 1.0, 1.0), group(2, 0.0, 0.0)]
    assert resampling.missing(batch, 3) == 2
    assert resampling.missing([*batch, group(3, 1.0, 0.0), group(4, 0.0, 0.0)], 3) == 1
    assert resampling.missing([*batch, *batch[1:], batch[1]], 3) == 0  # the bound
    assert resampling.missing([*batch, group(3, 1.0, 0.0)], 2) == 0  # more than a step has


def test_a_group_of_one_has_no_baseline_and_is_replaced():
    assert Resampling.of(RESAMPLE).missing([group(0, 1.0)], 1) == 1

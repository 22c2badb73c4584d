"""Every trajectory becomes a sample or a drop count, with its arrays in step."""

from dataclasses import replace

import numpy as np
import pytest

from redline.learner.samples import BrokenTrajectory, make_sample, make_samples
from redline.learner.settings import LossSettings
from redline.replay.records import DropReason, TrajectoryStatus

SETTINGS = LossSettings()


def test_only_action_tokens_carry_anything(build):
    turns = [
        build.turn(states=3, actions=2, version=4, logprob=-0.5),
        build.turn(states=1, actions=1, version=5, logprob=-2.0),
    ]
    sample = make_sample(build.trajectory(turns), np.array([0.25, -1.0]))
    assert sample.loss_mask.tolist() == [False] * 3 + [True] * 2 + [False, True]
    assert sample.advantages.tolist() == [0, 0, 0, 0.25, 0.25, 0, -1]
    assert sample.rollout_logprobs.tolist() == [0, 0, 0, -0.5, -0.5, 0, -2]
    assert sample.weight_versions.tolist() == [-1, -1, -1, 4, 4, -1, 5]
    assert sample.turn_index.tolist() == [0] * 5 + [1] * 2
    expected = np.concatenate([np.r_[t.state_token_ids, t.action_token_ids] for t in turns])
    assert sample.token_ids.tolist() == expected.tolist()
    assert sample.token_ids.dtype == np.int32
    assert sample.advantages.dtype == np.float32


def test_advantages_follow_the_estimator(build):
    group = build.group([build.turn(reward=1.0)], [build.turn(reward=0.0)])
    batch = make_samples([group], replace(SETTINGS, estimator="rloo"), 100)
    assert [float(s.advantages[s.loss_mask][0]) for s in batch.samples] == [1.0, -1.0]
    assert batch.dropped == ()


def test_group_without_signal_is_dropped_and_counted(build):
    group = build.group([build.turn(reward=1.0)], [build.turn(reward=1.0)])
    batch = make_samples([group], SETTINGS, 100)
    assert batch.samples == ()
    assert [(d.reason, d.trajectories) for d in batch.dropped] == [(DropReason.NO_SIGNAL, 2)]
    kept = make_samples([group], replace(SETTINGS, no_signal="keep"), 100)
    assert len(kept.samples) == 2
    assert all((s.advantages == 0).all() for s in kept.samples)
    assert batch.no_signal_groups == kept.no_signal_groups == 1


def test_an_outcome_is_a_signal_and_a_penalty_alone_is_none(build):
    solved, exited = TrajectoryStatus.SOLVED, TrajectoryStatus.EXITED
    turns = [build.turn(reward=0.0)], [build.turn(reward=-0.1)]
    penalty = build.group(*turns, statuses=[exited, exited])
    mixed = build.group(*turns, statuses=[solved, exited], group="h")
    settings = replace(SETTINGS, signal="outcome")
    batch = make_samples([penalty, mixed], settings, 100)
    assert [s.group_id for s in batch.samples] == ["h", "h"]
    assert batch.no_signal_groups == 1
    assert len(make_samples([penalty, mixed], SETTINGS, 100).samples) == 4


def test_a_batch_baseline_finds_signal_between_groups_of_one(build):
    groups = [build.group([build.turn(reward=1.0)]), build.group([build.turn(reward=0.0)])]
    batch = make_samples(groups, replace(SETTINGS, estimator="reinforce_pp"), 100)
    assert [round(float(s.advantages.sum()), 3) for s in batch.samples] == [3.0, -3.0]
    alone = make_samples(groups, SETTINGS, 100)
    assert (len(alone.samples), alone.no_signal_groups) == (0, 2)


def test_gae_keeps_every_group_and_leaves_advantages_to_the_critic(build):
    group = build.group([build.turn(reward=1.0)], [build.turn(reward=1.0)])
    batch = make_samples([group], replace(SETTINGS, estimator="gae"), 100)
    assert [t.trajectory_id for t in batch.trajectories] == ["g/0", "g/1"]
    assert all((s.advantages == 0).all() for s in batch.samples)


def test_penalties_lower_the_reward_but_make_no_signal(build):
    group = build.group([build.turn(reward=1.0)], [build.turn(reward=0.0)])
    same = build.group([build.turn(reward=1.0)], [build.turn(reward=1.0)], group="same")
    penalties = {f"{g}/{i}": [np.full(3, 0.1 * i)] for g in ("g", "same") for i in range(2)}
    rloo = replace(SETTINGS, estimator="rloo")
    batch = make_samples([group, same], rloo, 100, penalties)
    assert [round(float(s.advantages.max()), 4) for s in batch.samples] == [1.3, 0.0]
    assert batch.no_signal_groups == 1


def test_aborted_trajectories_do_not_count_for_the_baseline(build):
    group = build.group(
        [build.turn(reward=1.0)],
        [build.turn(reward=0.0)],
        [build.turn(reward=-9.0)],
        statuses=[
            TrajectoryStatus.SOLVED,
            TrajectoryStatus.EXITED,
            TrajectoryStatus.ABORTED,
        ],
    )
    batch = make_samples([group], replace(SETTINGS, estimator="rloo"), 100)
    assert [float(s.advantages.max()) for s in batch.samples] == [1.0, 0.0]
    assert [(d.reason, d.trajectories) for d in batch.dropped] == [(DropReason.ABORTED, 1)]


def test_too_long_and_non_finite_are_counted(build):
    group = build.group(
        [build.turn(reward=1.0)],
        [build.turn(reward=0.0, states=90)],
        [build.turn(reward=0.0, logprob=float("nan"))],
    )
    batch = make_samples([group], SETTINGS, 50)
    assert len(batch.samples) == 1
    counts = {d.reason: d.trajectories for d in batch.dropped}
    assert counts == {DropReason.TOO_LONG: 1, DropReason.NON_FINITE: 1}


def test_nothing_is_lost(build):
    groups = [
        build.group([build.turn(reward=1.0)], [build.turn()], group="a"),
        build.group([build.turn()], [build.turn()], group="b"),
        build.group([build.turn(reward=1.0)], [build.turn(actions=0)], group="c"),
    ]
    batch = make_samples(groups, SETTINGS, 100)
    assert len(batch.samples) + sum(d.trajectories for d in batch.dropped) == 6


def test_lengths_that_disagree_name_the_trajectory(build):
    turn = replace(build.turn(), rollout_logprobs=np.zeros(7, np.float32))
    with pytest.raises(BrokenTrajectory, match="trajectory g/0, turn 0: rollout_logprobs has 7"):
        make_sample(build.trajectory([turn]), np.array([1.0]))


def test_wrong_number_of_advantages_is_refused(build):
    with pytest.raises(BrokenTrajectory, match="g/0 has 1 turns and 2 advantages"):
        make_sample(build.trajectory([build.turn()]), np.array([1.0, 2.0]))

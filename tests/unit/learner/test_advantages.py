"""Estimators against values worked out by hand."""

import numpy as np
import pytest

from redline.learner.advantages import ESTIMATORS, estimate, has_signal
from redline.learner.advantages.dr_grpo import dr_grpo
from redline.learner.advantages.gae import gae
from redline.learner.advantages.grpo import grpo
from redline.learner.advantages.grpo_per_turn import grpo_per_turn
from redline.learner.advantages.normalizing import normalized
from redline.learner.advantages.reinforce_pp import reinforce_pp
from redline.learner.advantages.returns import credited_returns
from redline.learner.advantages.rloo import rloo
from redline.learner.settings import ESTIMATORS as NAMES

# Returns: 1, 0, -1. Mean 0, population standard deviation sqrt(2/3).
REWARDS = [np.array([0.0, 1.0]), np.array([0.5, -0.5, 0.0]), np.array([-1.0])]
SPREAD = np.sqrt(2.0 / 3.0)


def close(got, expected):
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_reward_to_go_sums_what_is_still_to_come():
    close(credited_returns(REWARDS, "reward_to_go"), [[1, 1], [0, -0.5, 0], [-1]])


def test_trajectory_credit_gives_each_turn_the_whole_return():
    close(credited_returns(REWARDS, "trajectory"), [[1, 1], [0, 0, 0], [-1]])


def test_unknown_credit_is_refused():
    with pytest.raises(ValueError, match="credit is 'turn'"):
        credited_returns(REWARDS, "turn")


def test_grpo():
    scaled = [np.array([1, 1]) / SPREAD, np.array([0, -0.5, 0]) / SPREAD, [-1 / SPREAD]]
    close(grpo(REWARDS), scaled)


def test_grpo_gives_nothing_where_all_returns_agree():
    same = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    close(grpo(same), [[0, 0], [0, 0]])


def test_grpo_per_turn():
    # Turn 0: returns 1, 0, -1. Turn 1: 1 and -0.5, mean 0.25, spread 0.75. Turn 2: one alone.
    close(grpo_per_turn(REWARDS), [[1 / SPREAD, 1], [0, -1, 0], [-1 / SPREAD]])


def test_dr_grpo_does_not_scale():
    shifted = [np.array([1.0, 0.0]), np.array([0.0, 0.0])]  # mean return 0.5
    close(dr_grpo(shifted), [[0.5, -0.5], [-0.5, -0.5]])


def test_rloo_leaves_the_own_return_out():
    # Baselines: (0 - 1) / 2, (1 - 1) / 2, (1 + 0) / 2.
    close(rloo(REWARDS), [[1.5, 1.5], [0, -0.5, 0], [-1.5]])


def test_rloo_needs_two():
    with pytest.raises(ValueError, match="group of 1"):
        rloo([np.array([1.0])])


def test_rloo_is_dr_grpo_times_n_over_n_minus_one_under_trajectory_credit():
    rng = np.random.default_rng(0)
    rewards = [rng.normal(size=n) for n in (1, 4, 2, 3)]
    scaled = [a * 4 / 3 for a in dr_grpo(rewards, "trajectory")]
    close(rloo(rewards, "trajectory"), scaled)


def test_reinforce_pp_normalises_over_the_whole_step():
    # Two groups of one: returns 2 (three tokens) and -2 (one). Mean 1, spread sqrt(3).
    (first,), (second,) = reinforce_pp([[np.array([2.0])], [np.array([-2.0])]], [[[3]], [[1]]])
    close([first, second], [[1 / np.sqrt(3)], [-3 / np.sqrt(3)]])


def test_reinforce_pp_gives_nothing_where_all_returns_agree():
    assert reinforce_pp([[np.array([2.0])], [np.array([2.0])]], [[[3]], [[1]]]) == [[0], [0]]


def test_gae_by_hand():
    # Errors: 1 + 0.5 * 4 - 2 = 1, 0 + 0.5 * 6 - 4 = -1. Running: -1, then 1 - 0.5 * 0.5.
    rewards, values = np.array([1.0, 0.0]), np.array([2.0, 4.0])
    close([gae(rewards, values, 6.0, gamma=0.5, gae_lambda=0.5)], [[0.75, -1.0]])


def test_gae_with_lambda_one_is_the_return_less_the_value():
    rewards, values = np.array([1.0, -0.5, 2.0]), np.array([0.3, 0.1, -4.0])
    got = gae(rewards, values, 0.0, gamma=1.0, gae_lambda=1.0)
    close([got], [np.array([2.5, 1.5, 2.0]) - values])


def test_gae_refuses_lengths_that_disagree():
    with pytest.raises(ValueError, match="2 rewards and 1 values"):
        gae(np.zeros(2), np.zeros(1), 0.0, gamma=1.0, gae_lambda=1.0)


def test_normalized_advantages_have_mean_zero_and_spread_one():
    got = normalized([np.array([1.0, 2.0]), np.array([6.0])], [np.array([1.0, 1.0]), np.array([2])])
    values, weights = np.concatenate(got), np.array([1, 1, 2])
    assert np.average(values, weights=weights) == pytest.approx(0, abs=1e-12)
    assert np.average(values**2, weights=weights) == pytest.approx(1, rel=1e-5)
    assert normalized([]) == []


def test_every_name_that_settings_know_has_an_estimator():
    assert {*ESTIMATORS, "gae"} == set(NAMES)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_shapes_follow_the_turns(name):
    counts = [[4] * len(r) for r in REWARDS]
    groups = estimate(name, [REWARDS, REWARDS[:2]], [counts, counts[:2]], "reward_to_go")
    assert [[len(a) for a in group] for group in groups] == [[2, 3, 1], [2, 3]]


def test_unknown_estimator_is_refused():
    with pytest.raises(ValueError, match="estimator is 'ppo'"):
        estimate("ppo", [REWARDS], [], "trajectory")


def test_signal_is_an_advantage_other_than_zero():
    assert has_signal(grpo(REWARDS))
    same = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    assert not has_signal(grpo(same))
    assert not has_signal(rloo(same, "trajectory"))
    assert has_signal(rloo(same))  # the second turn of the first trajectory gained nothing
    assert not has_signal([])

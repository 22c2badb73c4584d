"""Every estimator against loops over single numbers, on random and adversarial rewards."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redline.learner.advantages import estimate
from redline.learner.advantages.gae import gae

EPS = 1e-6
REWARD = st.one_of(
    st.sampled_from([0.0, 1.0, -0.5, -0.1, 1e-9, -1e-9, 1e6]),
    st.floats(-10, 10, allow_nan=False, width=32),
)
EPISODE = st.lists(REWARD, min_size=1, max_size=5)
GROUP = st.lists(EPISODE, min_size=2, max_size=5)
STEP = st.lists(GROUP, min_size=1, max_size=3)
CREDIT = st.sampled_from(["reward_to_go", "trajectory"])


def to_go(episode, t, credit):
    return math.fsum(episode if credit == "trajectory" else episode[t:])


def mean(numbers):
    return math.fsum(numbers) / len(numbers)


def spread(numbers):
    m = mean(numbers)
    return math.sqrt(math.fsum((x - m) ** 2 for x in numbers) / len(numbers))


def naive(name, group, i, t, credit):
    g = to_go(group[i], t, credit)
    totals = [math.fsum(e) for e in group]
    if name == "rloo":
        return g - mean(totals[:i] + totals[i + 1 :])
    if name == "dr_grpo":
        return g - mean(totals)
    if name == "grpo":
        return (g - mean(totals)) / (spread(totals) + EPS) if spread(totals) >= EPS else 0.0
    running = [to_go(e, t, credit) for e in group if len(e) > t]
    return (g - mean(running)) / (spread(running) + EPS) if spread(running) >= EPS else 0.0


def estimated(name, step, credit, counts=None):
    rewards = [[np.array(e) for e in group] for group in step]
    counts = counts or [[[1] * len(e) for e in group] for group in step]
    return estimate(name, rewards, counts, credit)


def near(got, expected, step, scaled):
    """Within rounding of the largest number; a quotient of rounding errors decides nothing."""
    largest = max(abs(r) for group in step for e in group for r in e)
    tolerance = 1e-12 * (1 + largest) * (1 / EPS if scaled else 1)
    return got == pytest.approx(expected, abs=tolerance, rel=1e-6)


@pytest.mark.parametrize("name", ["grpo", "grpo_per_turn", "dr_grpo", "rloo"])
@settings(max_examples=60, deadline=None)
@given(step=STEP, credit=CREDIT)
def test_group_estimators_match_the_loop(name, step, credit):
    scaled = name.startswith("grpo")
    for group, got in zip(step, estimated(name, step, credit), strict=True):
        longest = max(len(e) for e in group)
        running = [[e for e in group if len(e) > t] for t in range(longest)]
        spreads = [spread([to_go(e, t, credit) for e in now]) for t, now in enumerate(running)]
        spreads.append(spread([math.fsum(e) for e in group]))
        if scaled and any(0.3 * EPS < s < 3 * EPS for s in spreads):
            continue  # rounding decides whether such a group counts as having a difference
        for i, episode in enumerate(group):
            for t in range(len(episode)):
                assert near(got[i][t], naive(name, group, i, t, credit), step, scaled)


@settings(max_examples=60, deadline=None)
@given(step=STEP, credit=CREDIT, data=st.data())
def test_reinforce_pp_matches_the_loop(step, credit, data):
    counts = [
        [data.draw(st.lists(st.integers(1, 9), min_size=len(e), max_size=len(e))) for e in group]
        for group in step
    ]
    everything = [
        to_go(e, t, credit)
        for group, own in zip(step, counts, strict=True)
        for e, n in zip(group, own, strict=True)
        for t in range(len(e))
        for _ in range(n[t])
    ]
    width = spread(everything)
    if 0.3 * EPS < width < 3 * EPS:
        return
    for group, got in zip(step, estimated("reinforce_pp", step, credit, counts), strict=True):
        for i, episode in enumerate(group):
            for t in range(len(episode)):
                expected = (to_go(episode, t, credit) - mean(everything)) / (width + EPS)
                assert near(got[i][t], expected if width >= EPS else 0.0, step, True)


@settings(max_examples=60, deadline=None)
@given(
    rewards=EPISODE,
    gamma=st.floats(0, 1),
    gae_lambda=st.floats(0, 1),
    last=st.floats(-5, 5),
    data=st.data(),
)
def test_gae_matches_the_sum_of_its_definition(rewards, gamma, gae_lambda, last, data):
    values = data.draw(st.lists(st.floats(-5, 5), min_size=len(rewards), max_size=len(rewards)))
    got = gae(np.array(rewards), np.array(values), last, gamma=gamma, gae_lambda=gae_lambda)
    following = [*values[1:], last]
    errors = [r + gamma * v2 - v for r, v2, v in zip(rewards, following, values, strict=True)]
    for k in range(len(rewards)):
        expected = math.fsum(
            (gamma * gae_lambda) ** (n - k) * errors[n] for n in range(k, len(rewards))
        )
        assert got[k] == pytest.approx(expected, abs=1e-9, rel=1e-9)

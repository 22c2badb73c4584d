"""Each estimator's expected gradient on a problem small enough to enumerate.

At every turn the policy may EXIT, or do A or B; what it did is the state of the next turn. So the
policy itself decides how long an episode is. There are few trajectories, so expectations over all
groups of N are sums, and the true gradient of the expected return is one too.

| estimator | expected gradient |
|---|---|
| `rloo`, `gae` with λ = 1 or an exact critic | the true one: unbiased |
| `dr_grpo` | (N - 1) / N of it: unbiased direction |
| `grpo`, `reinforce_pp` | biased by their scale, less and less as N grows on a single task |
| `grpo_per_turn` | biased, and no group is large enough: it can point downhill |
"""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch

from redline.learner.advantages import estimate
from redline.learner.advantages.gae import gae
from redline.learner.losses import token_weights
from redline.learner.settings import LossSettings

EXIT, A, B = range(3)
START, HORIZON = (), 2
LOGITS = {START: [0.2, 0.9, -0.4], (A,): [0.5, -0.7, 0.3], (B,): [-1.0, 0.4, 0.8]}
REWARDS = {
    (EXIT,): 0.3, (A,): -0.1, (B,): 0.2,
    (A, EXIT): 1.0, (A, A): -0.5, (A, B): 0.4,
    (B, EXIT): -1.0, (B, A): 2.0, (B, B): 0.1,
}  # fmt: skip


class Problem:
    """Trajectories with their probabilities, rewards and scores ∇ log π, one row per turn."""

    def __init__(self, logits, rewards, horizon):
        self.states = sorted(logits)
        self.policy = {s: np.exp(z) / np.exp(z).sum() for s, z in logits.items()}
        self.rewards_of, self.horizon = rewards, horizon
        self.episodes = list(self._episodes(START))
        self._known = {e: (self.probability(e), self.rewards(e)) for e in self.episodes}
        self._scores = {e: self.score(e) for e in self.episodes}

    def _episodes(self, state):
        for action in (EXIT, A, B):
            after = (*state, action)
            if action == EXIT or len(after) == self.horizon:
                yield after
            else:
                yield from self._episodes(after)

    def probability(self, episode):
        return math.prod(self.policy[episode[:t]][a] for t, a in enumerate(episode))

    def rewards(self, episode):
        return np.array([self.rewards_of[episode[: t + 1]] for t in range(len(episode))])

    def score(self, episode):
        """(T, states * 3): the softmax's gradient, one-hot less probabilities."""
        rows = np.zeros((len(episode), len(self.states), 3))
        for t, action in enumerate(episode):
            state = self.states.index(episode[:t])
            rows[t, state] = -self.policy[episode[:t]]
            rows[t, state, action] += 1
        return rows.reshape(len(episode), -1)

    def value(self, state):
        """Expected return from a state on."""
        if len(state) == self.horizon or EXIT in state:
            return 0.0
        return sum(
            p * (self.rewards_of[(*state, a)] + self.value((*state, a)))
            for a, p in enumerate(self.policy[state])
        )

    def gradient(self):
        """Of the expected return: sum of p(τ) R(τ) ∇ log p(τ)."""
        return sum(
            self.probability(e) * self.rewards(e).sum() * self.score(e).sum(0)
            for e in self.episodes
        )

    def expected(self, advantages_of, size, weights_of=None):
        """E[mean over the group of sum_t A ∇ log π] over all groups of `size`."""
        total = 0.0
        for chosen in itertools.combinations_with_replacement(self.episodes, size):
            count = math.factorial(size)
            for repeats in Counter(chosen).values():
                count //= math.factorial(repeats)
            chance = count * math.prod(self._known[e][0] for e in chosen)
            advantages = advantages_of([self._known[e][1] for e in chosen])
            weights = weights_of(chosen) if weights_of else [1 / size] * size
            total = total + chance * sum(
                w * (a @ self._scores[e])
                for w, a, e in zip(weights, advantages, chosen, strict=True)
            )
        return total


PROBLEM = Problem(LOGITS, REWARDS, HORIZON)
TRUE = PROBLEM.gradient()


def by(name, credit="reward_to_go"):
    def advantages(rewards):
        counts = [[1] * len(r) for r in rewards]
        return estimate(name, [rewards], [counts], credit)[0]

    return advantages


def cosine(one, other):
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def test_the_problem_is_what_it_says():
    assert len(PROBLEM.episodes) == 7
    assert sum(PROBLEM.probability(e) for e in PROBLEM.episodes) == pytest.approx(1)
    # The true gradient against finite differences of the expected return.
    step, index = 1e-6, 4
    returns = []
    for sign in (1, -1):
        moved = {s: list(z) for s, z in LOGITS.items()}
        moved[PROBLEM.states[index // 3]][index % 3] += sign * step
        returns.append(Problem(moved, REWARDS, HORIZON).value(START))
    assert TRUE[index] == pytest.approx((returns[0] - returns[1]) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("credit", ["reward_to_go", "trajectory"])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_rloo_is_unbiased(size, credit):
    np.testing.assert_allclose(PROBLEM.expected(by("rloo", credit), size), TRUE, atol=1e-12)


@pytest.mark.parametrize("credit", ["reward_to_go", "trajectory"])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_dr_grpo_is_unbiased_up_to_a_factor(size, credit):
    expected = PROBLEM.expected(by("dr_grpo", credit), size)
    np.testing.assert_allclose(expected, TRUE * (size - 1) / size, atol=1e-12)


@pytest.mark.parametrize("name", ["grpo", "reinforce_pp"])
def test_scaling_by_the_batchs_own_spread_biases_less_and_less(name):
    small, large = (1 - cosine(PROBLEM.expected(by(name), n), TRUE) for n in (2, 6))
    assert small > 0.05
    assert 0.01 < large < 0.6 * small


SHARED = Problem(
    {START: [0.0, 0.0, 0.0], (A,): [0.0, 0.0, 0.0], (B,): [0.0, 0.0, 0.0]},
    {
        (EXIT,): 0.5, (A,): 2.0, (B,): -2.0,
        (A, EXIT): -0.1, (A, A): 0.0, (A, B): 0.0,
        (B, EXIT): -0.1, (B, A): 0.0, (B, B): 0.0,
    },
    HORIZON,
)  # fmt: skip
"""To EXIT at once is worth a lot, but other things vary more; to EXIT later costs a little."""

READINESS = np.array([1.0, 0.0, 0.0] * 3)
"""The direction of one weight that says how readily to EXIT at any turn."""


def per_turn_limit(problem):
    """What the gradient of `grpo_per_turn` tends to with ever larger groups.

    Each turn's part is divided by the spread of the returns of those who still run.
    """
    total = 0.0
    for turn in range(problem.horizon):
        running = [e for e in problem.episodes if len(e) > turn]
        chances = np.array([problem.probability(e) for e in running])
        returns = np.array([problem.rewards(e)[turn:].sum() for e in running])
        mean = np.average(returns, weights=chances)
        spread = np.sqrt(np.average((returns - mean) ** 2, weights=chances))
        scores = np.array([problem.score(e)[turn] for e in running])
        total = total + (chances * (returns - mean) / spread) @ scores
    return total


def test_grpo_per_turn_is_biased_and_can_point_downhill():
    """More readiness to EXIT would raise the return, and the estimator asks for less.

    Scaling each turn by its own spread makes the little that a late EXIT costs louder than the lot
    that an early one gains.
    """
    assert SHARED.gradient() @ READINESS > 0.1
    assert SHARED.expected(by("rloo"), 4) @ READINESS > 0.1
    assert SHARED.expected(by("grpo_per_turn"), 4) @ READINESS < -0.1
    assert cosine(PROBLEM.expected(by("grpo_per_turn"), 4), TRUE) < 0.95


def test_larger_groups_do_not_help_grpo_per_turn():
    limit = per_turn_limit(SHARED)
    assert limit @ READINESS < -0.1
    assert cosine(per_turn_limit(PROBLEM), TRUE) < 0.999
    away = [np.abs(SHARED.expected(by("grpo_per_turn"), n) - limit).max() for n in (2, 4, 6)]
    assert away[0] > away[1] > away[2]


def aggregated(name):
    """Weights of `token_weights` with one token a turn, as numbers per trajectory."""
    settings = LossSettings(aggregation=name, constant_length=1)

    def weights(chosen):
        counts = torch.tensor([len(e) for e in chosen])
        return token_weights(torch.arange(len(chosen)), counts, settings).tolist()

    return weights


def test_only_a_constant_divisor_keeps_the_direction():
    constant = PROBLEM.expected(by("rloo"), 3, aggregated("constant"))
    np.testing.assert_allclose(constant, TRUE, atol=1e-7)
    for name in ("token_mean", "sequence_mean"):
        assert cosine(PROBLEM.expected(by("rloo"), 3, aggregated(name)), TRUE) < 0.999


def gae_gradient(problem, critic, gae_lambda, *, turns=None, bootstrap=True):
    """E[sum_t A ∇ log π] with episodes cut after `turns`."""
    total = 0.0
    for episode in problem.episodes:
        length = min(len(episode), turns or len(episode))
        kept = episode[:length]
        cut = length < len(episode) or (EXIT not in kept and length < problem.horizon)
        values = np.array([critic(kept[:t]) for t in range(length)])
        last = critic(kept) if cut and bootstrap else 0.0
        advantages = gae(
            problem.rewards(episode)[:length], values, last, gamma=1.0, gae_lambda=gae_lambda
        )
        total = total + problem.probability(episode) * advantages @ problem.score(episode)[:length]
    return total


def wrong(state):
    """A critic that is wrong in every state."""
    return PROBLEM.value(state) + {START: 0.3, (A,): 1.5, (B,): -0.9}.get(state, 0.0)


@pytest.mark.parametrize("gae_lambda", [0.0, 0.5, 1.0])
def test_gae_with_an_exact_critic_is_unbiased(gae_lambda):
    found = gae_gradient(PROBLEM, PROBLEM.value, gae_lambda)
    np.testing.assert_allclose(found, TRUE, atol=1e-12)


def test_gae_with_lambda_one_is_unbiased_for_any_critic_and_below_it_is_not():
    np.testing.assert_allclose(gae_gradient(PROBLEM, wrong, 1.0), TRUE, atol=1e-12)
    assert cosine(gae_gradient(PROBLEM, wrong, 0.5), TRUE) < 0.99


@pytest.mark.parametrize("gae_lambda", [0.0, 0.7, 1.0])
def test_a_cut_episode_is_right_with_the_critics_last_value_and_wrong_without(gae_lambda):
    """Three turns, cut after two: the gradient of the first two turns' choices is still exact."""
    rng = np.random.default_rng(3)
    states = [START, (A,), (B,), *itertools.product((A, B), repeat=2)]
    logits = {s: rng.normal(size=3) for s in states}
    rewards = {(*s, a): float(rng.normal()) for s in states for a in (EXIT, A, B)}
    rewards |= {(B, A, a): 3.0 for a in (EXIT, A, B)}
    long = Problem(logits, rewards, 3)
    early = sum(
        long.probability(e) * np.cumsum(long.rewards(e)[::-1])[::-1][:2] @ long.score(e)[:2]
        for e in long.episodes
    )
    found = gae_gradient(long, long.value, gae_lambda, turns=2)
    np.testing.assert_allclose(found, early, atol=1e-12)
    without = gae_gradient(long, long.value, gae_lambda, turns=2, bootstrap=False)
    assert cosine(without, early) < 0.99

"""Estimators by name, each over all groups of a step."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from redline.learner.advantages.dr_grpo import dr_grpo
from redline.learner.advantages.grpo import grpo
from redline.learner.advantages.grpo_per_turn import grpo_per_turn
from redline.learner.advantages.reinforce_pp import reinforce_pp
from redline.learner.advantages.returns import EPSILON, Float64, Rewards
from redline.learner.advantages.rloo import rloo
from redline.learner.registries import ESTIMATORS

TokenCounts = Sequence[Sequence[Sequence[int]]]
"""Action tokens of each turn of each trajectory of each group."""

StepEstimator = Callable[[Sequence[Rewards], TokenCounts, str], list[list[Float64]]]


def _within_groups(
    estimator: Callable[[Rewards, str], list[Float64]],
    groups: Sequence[Rewards],
    _: TokenCounts,
    credit: str,
) -> list[list[Float64]]:
    return [estimator(rewards, credit) for rewards in groups]


ESTIMATORS.add("grpo", partial(_within_groups, grpo))
ESTIMATORS.add("grpo_per_turn", partial(_within_groups, grpo_per_turn))
ESTIMATORS.add("dr_grpo", partial(_within_groups, dr_grpo))
ESTIMATORS.add("rloo", partial(_within_groups, rloo))
ESTIMATORS.add("reinforce_pp", reinforce_pp)


def estimate(
    name: str, groups: Sequence[Rewards], action_tokens: TokenCounts, credit: str
) -> list[list[Float64]]:
    """Advantages of every turn by the estimator of that name; ValueError when there is none."""
    return ESTIMATORS[name](groups, action_tokens, credit)


def has_signal(advantages: Sequence[Float64]) -> bool:
    """Whether a group's advantages say anything: one of them is not zero."""
    return any(bool((np.abs(a) > EPSILON).any()) for a in advantages)

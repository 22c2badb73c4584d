"""Advantages shifted and scaled over a whole step."""

from collections.abc import Sequence

import numpy as np

from redline.learner.advantages.returns import EPSILON, Float64


def normalized(
    advantages: Sequence[Float64], weights: Sequence[Float64] | None = None
) -> list[Float64]:
    """(A - mean A) / (std A + ε) over all steps; zero when all agree.

    `weights` says how much each step counts, for instance its number of tokens.
    """
    if not advantages:
        return []
    values = np.concatenate(advantages)
    counts = np.ones(len(values)) if weights is None else np.concatenate(weights)
    total = max(counts.sum(), 1.0)
    mean = (counts * values).sum() / total
    spread = np.sqrt((counts * (values - mean) ** 2).sum() / total)
    if spread < EPSILON:
        return [np.zeros(len(a)) for a in advantages]
    return [(a - mean) / (spread + EPSILON) for a in advantages]

"""Rewards and returns, which every estimator starts from."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Rewards = Sequence[NDArray[np.floating]]
"""One (T_i,) array per trajectory."""

EPSILON = 1e-6
"""Keeps a division by a standard deviation finite; a smaller one counts as no difference."""

CREDITS = ("reward_to_go", "trajectory")


def credited_returns(rewards: Rewards, credit: str) -> list[Float64]:
    """G_{i,t} of every turn, γ = 1; raises ValueError for an unknown credit."""
    if credit not in CREDITS:
        raise ValueError(f"credit is {credit!r}, expected one of {CREDITS}")
    as_floats = [np.asarray(r, dtype=np.float64) for r in rewards]
    if credit == "trajectory":
        return [np.full(len(r), r.sum()) for r in as_floats]
    return [np.cumsum(r[::-1])[::-1] for r in as_floats]


def totals(rewards: Rewards) -> Float64:
    """R_i of every trajectory, (N,)."""
    return np.array([np.asarray(r, dtype=np.float64).sum() for r in rewards])

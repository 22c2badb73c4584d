"""Confidence intervals and unbiased estimates of solve rates. Pure functions on numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_Z95 = 1.959963984540054
"""97.5 % point of the standard normal distribution."""
_CHUNK = 1000
"""Resamples drawn at once: bounds the memory of a bootstrap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A solve rate with its 95 % interval; rates are 0 to 1."""

    tasks: int
    rate: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Solve rates before and after on the same tasks, with the 95 % interval of the difference."""

    tasks: int
    before: float
    after: float
    difference: float
    ci_low: float
    ci_high: float


def wilson(solved: float, tasks: int) -> Rate:
    """Wilson's score interval of a rate (Wilson 1927).

    `solved` may be a sum of fractions, one of each task: with several samples per task the tasks
    are what is independent, so they are what is counted. Raises ValueError unless
    0 <= solved <= tasks.
    """
    if tasks < 0 or not -1e-9 <= solved <= tasks + 1e-9:
        raise ValueError(f"rate: got {solved} of {tasks} tasks, expected 0 to all of them")
    if tasks == 0:
        return Rate(tasks=0, rate=0.0, ci_low=0.0, ci_high=1.0)
    p, z2 = solved / tasks, _Z95**2
    centre = (p + z2 / (2 * tasks)) / (1 + z2 / tasks)
    half = _Z95 * math.sqrt(max(0.0, p * (1 - p) / tasks) + z2 / (4 * tasks**2)) / (1 + z2 / tasks)
    return Rate(
        tasks=tasks, rate=p, ci_low=max(0.0, centre - half), ci_high=min(1.0, centre + half)
    )


def paired_difference(
    before: Sequence[float], after: Sequence[float], *, seed: int = 0, resamples: int = 10_000
) -> Difference:
    """Difference of mean solve rates on the same tasks, percentile bootstrap over tasks.

    `before[i]` and `after[i]` are the share of samples that solved task i. Resampling whole tasks
    keeps what the two have in common. The same arguments give the same interval. Raises ValueError
    when the lengths differ or there is no task.
    """
    if len(before) != len(after) or len(before) == 0:
        raise ValueError(
            f"paired difference: got {len(before)} tasks before and {len(after)} after, "
            "expected the same tasks, at least one"
        )
    gains = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    rng = np.random.default_rng(seed)
    means = np.concatenate(
        [
            gains[
                rng.integers(0, len(gains), size=(min(_CHUNK, resamples - done), len(gains)))
            ].mean(axis=1)
            for done in range(0, resamples, _CHUNK)
        ]
    )
    low, high = np.percentile(means, [2.5, 97.5])
    return Difference(
        tasks=len(gains),
        before=float(np.mean(before)),
        after=float(np.mean(after)),
        difference=float(gains.mean()),
        ci_low=float(low),
        ci_high=float(high),
    )


def pass_at_k(samples: int, solved: int, k: int) -> float:
    """Unbiased estimate of the chance that one of `k` samples solves a task.

    1 - C(n - c, k) / C(n, k) with n samples of which c solved (Chen et al. 2021, arXiv
    2107.03374). Raises ValueError unless 1 <= k <= samples and 0 <= solved <= samples.
    """
    if not 1 <= k <= samples or not 0 <= solved <= samples:
        raise ValueError(
            f"pass@{k}: got {solved} solved of {samples} samples, expected k from 1 to {samples}"
        )
    if samples - solved < k:
        return 1.0
    return 1.0 - math.comb(samples - solved, k) / math.comb(samples, k)

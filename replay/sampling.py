"""Which of the waiting groups are lent: first in first out, uniformly, or by advantage.

Draws are without replacement by exponential keys (Efraimidis and Spirakis 2006): group i gets
`-log(u_i) / w_i` and the smallest keys win, which draws in proportion to the weights. `u_i` is a
hash of the seed, of the number of groups committed so far and of the group's number: a draw
depends on the store's state alone, so a retried or resumed lease draws the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from redline.replay.settings import ReplaySettings, SamplingPolicy

_FLOOR = 0.01  # in units of reward: groups without any signal are drawn too, but seldom


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A group that may be lent."""

    sequence: int
    oldest_version: int
    priority: float


def priority(rewards: NDArray[np.float64]) -> float:
    """Mean absolute deviation of the group's returns from their mean, in units of reward.

    `rewards` is (trajectories,). That is the mean |advantage| of a group baseline without
    division by the standard deviation; 0 for a group that teaches nothing.
    """
    return float(np.abs(rewards - rewards.mean()).mean()) if len(rewards) else 0.0


def batch_priority(batch: pa.RecordBatch) -> float:
    """`priority` of a stored group."""
    return priority(batch.column("reward").to_numpy())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """A policy with its parameters."""

    policy: SamplingPolicy = SamplingPolicy.FIFO
    seed: int = 0
    exponent: float = 1.0
    """0 is uniform; only `prioritized` has a use for it."""

    @staticmethod
    def of(settings: ReplaySettings) -> "Sampling":
        """The policy that a run asks for; raises ValueError for one that does not exist."""
        return Sampling(
            policy=SamplingPolicy(settings.sampling),
            seed=settings.sampling_seed,
            exponent=settings.priority_exponent,
        )

    def order(self, candidates: Sequence[Candidate], draw: int) -> list[Candidate]:
        """The candidates, the ones to be lent first at the front; `draw` numbers the lease."""
        by_age = sorted(candidates, key=_age)
        if self.policy is SamplingPolicy.FIFO or not by_age:
            return by_age
        weights = np.ones(len(by_age))
        if self.policy is SamplingPolicy.PRIORITIZED:
            weights = (np.array([c.priority for c in by_age]) + _FLOOR) ** self.exponent
        uniform = _uniform(self.seed, draw, np.array([c.sequence for c in by_age], np.uint64))
        keys = -np.log(uniform) / weights
        return [by_age[i] for i in np.argsort(keys, kind="stable")]


def choose(
    ordered: Sequence[Candidate], count: int, min_version: int | None, in_flight: Sequence[int]
) -> tuple[int, ...]:
    """At most `count` of the `ordered` candidates, without making others too old.

    The step that leases now trains `count` groups of version `min_version` or newer, the next one
    of `min_version + 1` or newer, and so on. Whatever the later steps could not train in time is
    taken now, in `ordered`'s order among equals; groups `in_flight`, given by the version at their
    start, need their place in those steps too. So no policy drops a group that first in first out
    would have trained. The result has the oldest weights first.
    """
    chosen: dict[int, Candidate] = {}
    if min_version is not None:
        stored = {c.oldest_version for c in ordered if c.oldest_version >= 0}
        for version in sorted(stored.union(start for start in in_flight if start >= min_version)):
            due = [c for c in ordered if 0 <= c.oldest_version <= version]
            steps = version - min_version  # that can still take them after this one
            flying = sum(start <= version for start in in_flight)
            must = min(len(due) + flying - steps * count, len(due), count)
            for candidate in due:
                if sum(0 <= c.oldest_version <= version for c in chosen.values()) >= must:
                    break
                chosen.setdefault(candidate.sequence, candidate)
    for candidate in ordered:
        if len(chosen) >= count:
            break
        chosen.setdefault(candidate.sequence, candidate)
    return tuple(c.sequence for c in sorted(chosen.values(), key=_age))


def _age(candidate: Candidate) -> tuple[int, int]:
    return candidate.oldest_version, candidate.sequence


def _uniform(seed: int, draw: int, sequences: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Numbers in (0, 1), one for each sequence number: (n,), by splitmix64 of all three."""
    with np.errstate(over="ignore"):
        state = _mix(np.array([seed % 2**64], np.uint64))
        state = _mix(state ^ np.uint64(draw))
        state = _mix(state ^ sequences)
    return (np.right_shift(state, np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finalizer of splitmix64 (Steele, Lea and Flood 2014)."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))

"""How many workers a measured load asks for.

Target tracking as cluster autoscalers do it: the count that would bring a load to its target is
`count * load / target`, rounded up. Small differences change nothing; growth at most doubles the
count at once; shrinking goes to the largest count that was asked for within a while, so that a lull
does not end workers that are needed again.
"""

import math
from dataclasses import dataclass, field

_TOLERANCE = 0.1
_LEAST_BUSY = 0.05


@dataclass(slots=True, kw_only=True)
class TargetTracker:
    """Decides for one fleet; times are seconds of any clock that only goes forward."""

    least: int
    most: int
    hold: float
    """Seconds for which a count that was asked for is not gone below."""
    asked: list[tuple[float, int]] = field(default_factory=list)
    """Counts that were asked for within that time, oldest first."""

    def decide(self, now: float, count: int, ratio: float) -> int:
        """The count to have, where `ratio` is the load over its target at `count` workers."""
        wanted = count if abs(ratio - 1.0) <= _TOLERANCE else math.ceil(count * ratio - 1e-9)
        wanted = self._bounded(min(wanted, 2 * count))
        self.asked = [(then, n) for then, n in self.asked if then > now - self.hold]
        self.asked.append((now, wanted))
        if wanted >= count:
            return wanted
        return min(self._bounded(count), max(n for _, n in self.asked))

    def _bounded(self, count: int) -> int:
        return max(self.least, min(self.most, count))


def sampler_ratio(*, waiting: float, idle: float, aim: float) -> float:
    """Load of the samplers over its target.

    waiting: share of the learner's time in which it waits for groups
    idle:    share of the time in which nothing is being sampled
    aim:     share of waiting that is aimed at

    Samplers that leave the learner waiting for a share w make (1 - w) of what it could take.
    """
    busy = max(1.0 - waiting, _LEAST_BUSY)
    return (1.0 - idle) * (1.0 - aim) / busy

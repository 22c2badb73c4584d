"""A long curve as few points: the extremes of each stretch stay, so no spike is lost."""

import math
from collections.abc import Sequence

Point = tuple[int, float]


def thin(steps: Sequence[int], values: Sequence[float], limit: int) -> list[Point]:
    """At most `limit` points (step, value) in the order of the steps, finite values only.

    Each of limit / 2 stretches of equal length gives its lowest and its highest point.
    """
    points = [(s, v) for s, v in zip(steps, values, strict=True) if math.isfinite(v)]
    if len(points) <= limit:
        return points
    stretches = max(1, limit // 2)
    kept: list[Point] = []
    for i in range(stretches):
        stretch = points[i * len(points) // stretches : (i + 1) * len(points) // stretches]
        low = min(stretch, key=lambda point: point[1])
        high = max(stretch, key=lambda point: point[1])
        kept += sorted({low, high})
    return kept

"""The curves of a run, taken up as its steps are written, with a smoothed copy of each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redline.cluster.dashboard.line_tail import LineTail

SMOOTHING = 0.9
"""Weight of the past in the exponential moving average, corrected for its start as Adam does."""
_NAN = math.nan


@dataclass(slots=True)
class Curve:
    """One quantity at every step; NaN where it was not written."""

    values: list[float] = field(default_factory=list)
    smooth: list[float] = field(default_factory=list)
    total: float = 0.0
    """Sum of the finite values."""
    _average: float = 0.0
    _weight: float = 0.0

    def add(self, value: float) -> None:
        """Take up the next step's value."""
        self.values.append(value)
        if math.isfinite(value):
            self.total += value
            self._average = SMOOTHING * self._average + (1 - SMOOTHING) * value
            self._weight = SMOOTHING * self._weight + 1 - SMOOTHING
        self.smooth.append(self._average / self._weight if self._weight else _NAN)

    @property
    def last(self) -> float | None:
        """The newest value; None when there is none or it is not finite."""
        return self.values[-1] if self.values and math.isfinite(self.values[-1]) else None


class Curves:
    """All curves of `metrics/steps.jsonl`, by name."""

    def __init__(self, path: Path) -> None:
        self._tail = LineTail(path)
        self.steps: list[int] = []
        self._curves: dict[str, Curve] = {}

    @property
    def problem(self) -> str:
        """Why the file cannot be read to its end; empty while it can."""
        return self._tail.problem

    def poll(self) -> bool:
        """Take up the steps that were written since; returns whether anything changed."""
        news = self._tail.poll()
        if news.restarted:
            self.steps, self._curves = [], {}
        for record in news.records:
            self._add(record)
        return news.restarted or bool(news.records)

    def get(self, name: str) -> Curve:
        """A curve as long as `steps`; one without values when the run does not write it."""
        return self._curves.get(name) or Curve([_NAN] * len(self.steps), [_NAN] * len(self.steps))

    def has(self, name: str) -> bool:
        """Whether the run writes this curve."""
        return name in self._curves

    @property
    def names(self) -> Sequence[str]:
        """All curves that the run writes."""
        return tuple(self._curves)

    def _add(self, record: dict[str, Any]) -> None:
        step = record.get("step")
        if not isinstance(step, int):
            return
        for name, value in record.items():
            if name != "step" and isinstance(value, int | float) and name not in self._curves:
                missing = len(self.steps)
                self._curves[name] = Curve([_NAN] * missing, [_NAN] * missing)
        self.steps.append(step)
        for name, curve in self._curves.items():
            value = record.get(name)
            curve.add(float(value) if isinstance(value, int | float) else _NAN)

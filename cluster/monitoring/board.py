"""The numbers of a run as they are now: what is set is checked against the definitions.

The board is the one place that status file and exporter read from, so all of them say the same.
"""

import math
import threading
from collections.abc import Mapping

from redline.cluster.monitoring.definitions import Kind, Metric, all_metrics
from redline.cluster.status_file import Sample

Labels = tuple[tuple[str, str], ...]
Key = tuple[str, Labels]
"""A metric's name and its labels, sorted by name."""


class Board:
    """Values by metric and labels; may be read from another thread."""

    def __init__(self) -> None:
        self._values: dict[Key, float] = {}
        self._totals: dict[Key, float] = {}
        self._lock = threading.Lock()

    def set(self, name: str, value: float, **labels: str) -> None:
        """Give a gauge its value; one that is not finite leaves the old one."""
        key = _key(name, Kind.GAUGE, labels)
        if math.isfinite(value):
            with self._lock:
                self._values[key] = float(value)

    def add(self, name: str, amount: float, **labels: str) -> None:
        """Let a counter grow; by 0 makes it known. ValueError for less than 0."""
        key = _key(name, Kind.COUNTER, labels)
        if not amount >= 0:
            raise ValueError(f"counter {name} cannot grow by {amount}: expected 0 or more")
        with self._lock:
            self._values[key] = self._values.get(key, 0.0) + amount

    def follow(self, name: str, total: float, **labels: str) -> None:
        """Let a counter follow somebody's own count; one that fell started again from 0."""
        key = _key(name, Kind.COUNTER, labels)
        before = self._totals.get(key, 0.0)
        self._totals[key] = total
        self.add(name, total - before if total >= before else total, **labels)

    def take_curves(self, curves: Mapping[str, float]) -> None:
        """Take over the curves of one step: gauges are set, counters grow by them."""
        for metric in all_metrics().values():
            for curve, labels in metric.curves.items():
                if curve not in curves:
                    continue
                value = curves[curve] * metric.scale
                if metric.kind is Kind.GAUGE:
                    self.set(metric.name, value, **labels)
                else:
                    self.add(metric.name, value, **labels)

    def forget(self, **labels: str) -> None:
        """Drop the gauges with these labels: whoever they were of is gone. Counters stay."""
        metrics = all_metrics()
        with self._lock:
            for name, found in list(self._values):
                if metrics[name].kind is Kind.GAUGE and dict(found).items() >= labels.items():
                    del self._values[name, found]

    def values(self) -> dict[Key, float]:
        """All values as they are now."""
        with self._lock:
            return dict(self._values)

    def samples(self) -> list[Sample]:
        """The same as records, in the order of the definitions."""
        order = {name: place for place, name in enumerate(all_metrics())}
        found = sorted(self.values().items(), key=lambda item: (order[item[0][0]], item[0][1]))
        return [
            Sample(name=name, labels=dict(labels), value=value) for (name, labels), value in found
        ]


def _key(name: str, kind: Kind, labels: Mapping[str, str]) -> Key:
    metric = all_metrics().get(name)
    if metric is None or metric.kind is not kind:
        raise ValueError(f"{name!r} is no {kind} of redline.cluster.monitoring.tables")
    complete = dict(labels)
    if metric.role is not None:
        complete["role"] = metric.role
    expected = label_names(metric)
    if complete.keys() != set(expected):
        raise ValueError(f"{name} has the labels {sorted(complete)}, expected {sorted(expected)}")
    return name, tuple(sorted((key, str(value)) for key, value in complete.items()))


def label_names(metric: Metric) -> tuple[str, ...]:
    """All labels of a metric but `run`."""
    return ("role", *metric.labels)

"""The board through `ray.util.metrics`: each node's agent then serves it to Prometheus.

Ray forgets a gauge that was not set for two report intervals, so all are set at each call; and it
shows a counter only once it has grown, so counters begin with 0 by the same path that Ray itself
takes underneath.
"""

from typing import Any

from ray.util.metrics import Counter, Gauge

from redline.cluster.monitoring.board import Board, Key, label_names
from redline.cluster.monitoring.definitions import Kind, all_metrics


class RayExporter:
    """Publishes one board under the name of its run."""

    def __init__(self, board: Board, run: str) -> None:
        """A Ray connection must be open, and stay open as long as `publish` is called."""
        self._board = board
        self._run = run
        self._metrics: dict[str, Any] = {}
        self._published: dict[Key, float] = {}

    def publish(self) -> None:
        """Bring Ray's metrics to the board's state."""
        for (name, labels), value in self._board.values().items():
            metric = self._metric(name)
            tags = {"run": self._run, **dict(labels)}
            if isinstance(metric, Gauge):
                metric.set(value, tags=tags)
                continue
            known = (name, labels) in self._published
            growth = value - self._published.get((name, labels), 0.0)
            self._published[name, labels] = value
            if growth > 0:
                metric.inc(growth, tags=tags)
            elif not known:
                metric._record(0.0, tags=tags)

    def _metric(self, name: str) -> Any:
        if name not in self._metrics:
            definition = all_metrics()[name]
            cls = Counter if definition.kind is Kind.COUNTER else Gauge
            tags = ("run", *label_names(definition))
            self._metrics[name] = cls(name, description=definition.meaning, tag_keys=tags)
        return self._metrics[name]

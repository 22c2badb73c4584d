"""The charts of a run, made once for all browsers that look at it."""

import threading
from dataclasses import dataclass
from typing import Any

from redline.cluster.dashboard.panels import PANELS, chart_options, last_value
from redline.cluster.dashboard.watch import RunWatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One panel at one moment."""

    options: dict[str, Any]
    """For Apache ECharts; shared by all browsers, so nobody may change it."""
    now: str
    """Its newest values in words."""


class PanelFeed:
    """Keeps the charts until the curves change."""

    def __init__(self, watch: RunWatch) -> None:
        self._watch = watch
        self._lock = threading.Lock()
        self._revision = -1
        self._charts: tuple[Chart, ...] = ()

    def read(self) -> tuple[Chart, ...]:
        """The charts of `PANELS` in their order."""
        with self._lock, self._watch.lock:
            if self._revision != self._watch.curves_revision:
                curves = self._watch.curves
                self._charts = tuple(
                    Chart(options=chart_options(panel, curves), now=last_value(panel, curves))
                    for panel in PANELS
                )
                self._revision = self._watch.curves_revision
            return self._charts

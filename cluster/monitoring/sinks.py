"""Where curves go besides `steps.jsonl`: TensorBoard always, other trackers when asked for.

A tracker's package is imported only then. One that fails later is told of once and left out: no
run ends because somebody else's server did.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError, one_line


class Sink(Protocol):
    """One place that curves are written to."""

    def write(self, step: int, curves: Mapping[str, float]) -> None:
        """Add one point to each of these curves."""

    def close(self) -> None:
        """Write what is left and end."""


def open_sinks(config: RunConfig, folder: Path, say: Callable[[str], None]) -> list[Sink]:
    """The sinks of a run, TensorBoard's first; `folder` keeps what a resumed run needs.

    `say` is told when one fails. Raises UserError when a tracker refuses the run at its start.
    """
    from redline.cluster.monitoring.tensorboard_sink import TensorBoardSink

    sinks: list[Sink] = [TensorBoardSink(folder)]
    for name in config.metrics.sinks:
        try:
            sinks.append(GuardedSink(name, _opener(name)(config, folder), say))
        except Exception as error:
            raise UserError(
                f"metrics.sinks: {name} cannot begin: {one_line(error)}; log in to it, or leave "
                "it out of metrics.sinks"
            ) from error
    return sinks


class GuardedSink:
    """Passes finite numbers on to a tracker until that fails for the first time."""

    def __init__(self, name: str, sink: Sink, say: Callable[[str], None]) -> None:
        self._name = name
        self._sink: Sink | None = sink
        self._say = say

    def write(self, step: int, curves: Mapping[str, float]) -> None:
        """As `Sink.write`."""
        finite = {name: value for name, value in curves.items() if math.isfinite(value)}
        self._try(lambda sink: sink.write(step, finite))

    def close(self) -> None:
        """As `Sink.close`."""
        self._try(lambda sink: sink.close())

    def _try(self, call: Callable[[Sink], None]) -> None:
        if self._sink is None:
            return
        try:
            call(self._sink)
        except Exception as error:  # noqa: BLE001 - whatever the tracker's client raises
            self._sink = None
            self._say(f"metrics go on without {self._name}, which failed: {one_line(error)}")


def _opener(name: str) -> Callable[[RunConfig, Path], Sink]:
    if name == "wandb":
        from redline.cluster.monitoring.wandb_sink import WandbSink

        return WandbSink
    from redline.cluster.monitoring.mlflow_sink import MlflowSink

    return MlflowSink

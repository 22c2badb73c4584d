"""Curves as TensorBoard events."""

import time
from collections.abc import Mapping
from pathlib import Path


class TensorBoardSink:
    """One event file per attempt in the run's metrics folder."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._events = EventFileWriter(str(folder))

    def write(self, step: int, curves: Mapping[str, float]) -> None:
        """Add one point to each of these curves."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in curves.items()]
        summary = Summary(value=values)
        self._events.add_event(Event(wall_time=time.time(), step=step, summary=summary))
        self._events.flush()

    def close(self) -> None:
        """Flush and close the event file."""
        self._events.close()

"""Ctrl-C and SIGTERM: finish the step, save, end; a second one ends at once."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from redline.cluster.display.progress import Progress

if TYPE_CHECKING:
    from redline.cluster.loop.controller import Controller

T = TypeVar("T")
_SECONDS_TO_SAVE = 7.0
"""Time for the step in hand and its checkpoint; the rest of 15 s is for ending the workers."""


def run_until_stopped(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, where a run that was ended by a signal raises KeyboardInterrupt."""
    try:
        return asyncio.run(work)
    except asyncio.CancelledError as error:
        raise KeyboardInterrupt from error


class StopSwitch:
    """Turns signals into an orderly end of the run."""

    def __init__(self, progress: Progress) -> None:
        self.stopped = False
        self.controller: Controller | None = None
        self._progress = progress
        self._run: asyncio.Task[object] | None = None

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Listen to signals while the block runs; call it inside the run's task."""
        loop = asyncio.get_running_loop()
        self._run = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        if self.stopped or self.controller is None:
            self._end()
            return
        self.stopped = True
        self._progress.say("stopping: saving a checkpoint first (again to stop at once)")
        self.controller.stop()
        asyncio.get_running_loop().call_later(_SECONDS_TO_SAVE, self._end_if_still_training)

    def _end_if_still_training(self) -> None:
        if self.controller is not None:
            self._progress.say("the step takes too long to wait for; the last checkpoint stays")
            self._end()

    def _end(self) -> None:
        self.stopped = True
        if self._run is not None:
            self._run.cancel()

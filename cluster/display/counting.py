"""How far work with a known number of pieces has come: a bar on a terminal, else a line at times.

Everything goes to stderr; stdout is left for results.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]
"""Told how many pieces are done in all."""

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def count_progress(title: str, total: int, unit: str, *, done: int = 0) -> Iterator[Advance]:
    """Show the number of pieces done, their rate and the time that the rest will take.

    `done` pieces were there before; they do not count towards the rate.
    """
    if sys.stderr.isatty():
        with _bar(title, total, unit, done) as advance:
            yield advance
    else:
        yield _Lines(title, total, unit, done).advance


class _Lines:
    """One line every few seconds, for logs and pipes."""

    def __init__(self, title: str, total: int, unit: str, done: int) -> None:
        self._title, self._total, self._unit, self._before = title, total, unit, done
        self._began = self._told = time.monotonic()

    def advance(self, done: int) -> None:
        """Write a line if the last one was long ago."""
        now = time.monotonic()
        if now - self._told < _SECONDS_BETWEEN_LINES:
            return
        self._told = now
        seconds = now - self._began
        text = progress_text(done, self._total, done - self._before, seconds, self._unit)
        print(f"[{seconds:6.1f} s] {self._title}: {text}", file=sys.stderr, flush=True)


def progress_text(done: int, total: int, fresh: int, seconds: float, unit: str) -> str:
    """How far it has come, such as `1200/3740 (32%), 151.2 demonstrations/s, 0:16 left`.

    `fresh` is how many of those done were done in these seconds.
    """
    rate = fresh / max(seconds, 1e-9)
    left = "" if rate <= 0 else f", {_clock((total - done) / rate)} left"
    return f"{done}/{total} ({done / max(total, 1):.0%}), {rate:.1f} {unit}/s{left}"


@contextmanager
def _bar(title: str, total: int, unit: str, done: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
    began = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        bar = progress.add_task(title, total=total, completed=done, text=f"{done}/{total}")

        def advance(now_done: int) -> None:
            seconds = time.monotonic() - began
            text = progress_text(now_done, total, now_done - done, seconds, unit)
            progress.update(bar, completed=now_done, text=text)

        yield advance


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

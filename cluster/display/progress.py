"""What the user sees while a run goes on: a live view on a terminal, else one line per event.

Everything goes to stderr; stdout is left for results.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from redline.cluster.loop.records import StepReport

_STILL_WAITING_SECONDS = 20.0


class Progress(Protocol):
    """Where a run tells what it does."""

    def say(self, message: str) -> None:
        """Tell one thing."""

    def phase(self, name: str) -> "Phase":
        """Announce a phase that takes a while; used as a context manager."""

    def step(self, number: int, total: int, report: StepReport) -> None:
        """Tell how a step went."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class PhaseListener(Protocol):
    """Who is told of phases."""

    def on_begin(self, phase: "Phase") -> None:
        """A phase begins."""

    def on_wait(self, phase: "Phase") -> None:
        """What a phase waits for has changed."""

    def on_end(self, phase: "Phase", *, failed: bool) -> None:
        """A phase ended."""


class Display(Progress, PhaseListener, Protocol):
    """What shows progress and is told of phases."""


class Phase:
    """A phase of a run: what it waits for may be told while it lasts."""

    def __init__(self, name: str, progress: PhaseListener) -> None:
        self.name = name
        self.waiting_for: list[str] = []
        self.began = time.monotonic()
        self._progress = progress

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self.began

    def wait_for(self, names: list[str]) -> None:
        """Tell what is still missing."""
        self.waiting_for = names
        self._progress.on_wait(self)

    def __enter__(self) -> "Phase":
        self._progress.on_begin(self)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._progress.on_end(self, failed=kind is not None)


def step_line(number: int, total: int, report: StepReport) -> str:
    """One step in one line."""
    result = report.result
    width = len(str(total))
    note = f"  ({report.resampled_groups} resampled)" if report.resampled_groups else ""
    note += "  (skipped: no signal)" if result.skipped else ""
    return (
        f"step {number:>{width}}/{total}  reward {result.reward_mean:+.3f}  "
        f"solved {result.solve_rate:6.1%}  turns {result.num_turns:.2f}  "
        f"tokens/s {report.tokens_per_second:6.0f}  "
        f"stale {result.staleness_mean:.2f}/{result.staleness_max}  "
        f"dlogp {report.max_abs_dlogp:.1e}  pause {report.pause_ms:3.0f} ms  "
        f"{report.seconds_total:5.2f} s (wait {report.seconds_wait:.2f}, "
        f"train {report.seconds_train:.2f}, push {report.seconds_push:.2f}){note}"
    )


class LineProgress:
    """One line per event, for logs and pipes."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._phases: list[Phase] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._remind, name="progress", daemon=True)
        self._thread.start()

    def say(self, message: str) -> None:
        """Write a line, with the seconds since the start in front."""
        print(f"[{time.monotonic() - self._began:6.1f} s] {message}", file=sys.stderr, flush=True)

    def phase(self, name: str) -> Phase:
        """Announce a phase."""
        return Phase(name, self)

    def step(self, number: int, total: int, report: StepReport) -> None:
        """Write the step's line."""
        self.say(step_line(number, total, report))

    def close(self) -> None:
        """Stop reminding."""
        self._end.set()
        self._thread.join()

    def on_begin(self, phase: Phase) -> None:
        """Write that a phase begins."""
        self._phases.append(phase)
        self.say(f"{phase.name} ...")

    def on_wait(self, phase: Phase) -> None:
        """Nothing now: the reminder tells it when it takes long."""

    def on_end(self, phase: Phase, *, failed: bool) -> None:
        """Write how long a phase took."""
        self._phases.remove(phase)
        verb = "failed after" if failed else "took"
        self.say(f"{phase.name} {verb} {phase.seconds:.1f} s")

    def _remind(self) -> None:
        while not self._end.wait(_STILL_WAITING_SECONDS):
            for phase in tuple(self._phases):
                if phase.seconds < _STILL_WAITING_SECONDS / 4:
                    continue
                rest = f", waiting for {', '.join(phase.waiting_for)}" * bool(phase.waiting_for)
                self.say(f"{phase.name}: {phase.seconds:.0f} s so far{rest}")


class LiveProgress:
    """A live view on a terminal."""

    def __init__(self, title: str) -> None:
        from redline.cluster.display.live import LiveView

        self._view: LiveView = LiveView(title)

    def say(self, message: str) -> None:
        """Write a line above the live part."""
        self._view.print(message)

    def phase(self, name: str) -> Phase:
        """Announce a phase."""
        return Phase(name, self)

    def step(self, number: int, total: int, report: StepReport) -> None:
        """Add a step to the view."""
        self._view.add_step(number, total, report)

    def close(self) -> None:
        """Leave the last state of the view on the screen."""
        self._view.close()

    def on_begin(self, phase: Phase) -> None:
        """Show the phase with a running clock."""
        self._view.begin(phase)

    def on_wait(self, phase: Phase) -> None:
        """Nothing to do: the view reads the phase."""

    def on_end(self, phase: Phase, *, failed: bool) -> None:
        """Turn the phase into a line."""
        self._view.end(phase, failed=failed)


@contextmanager
def open_progress(title: str) -> Iterator[Display]:
    """The progress display that fits where stderr goes."""
    progress: Display = LiveProgress(title) if sys.stderr.isatty() else LineProgress()
    try:
        yield progress
    finally:
        progress.close()

"""A progress display whose phases the monitor hears of too."""

from redline.cluster.display.progress import Display, Phase
from redline.cluster.loop.records import StepReport
from redline.cluster.monitoring.monitor import Monitor


class WatchedProgress:
    """Passes everything on to the display, and the phases that go on to the monitor."""

    def __init__(self, display: Display, monitor: Monitor) -> None:
        self._display = display
        self._monitor = monitor
        self._phases: list[Phase] = []

    def say(self, message: str) -> None:
        """Tell one thing."""
        self._display.say(message)

    def phase(self, name: str) -> Phase:
        """Announce a phase that takes a while."""
        return Phase(name, self)

    def step(self, number: int, total: int, report: StepReport) -> None:
        """Tell how a step went."""
        self._display.step(number, total, report)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._display.close()

    def on_begin(self, phase: Phase) -> None:
        """A phase begins."""
        self._phases.append(phase)
        self._monitor.on_phases(list(self._phases))
        self._display.on_begin(phase)

    def on_wait(self, phase: Phase) -> None:
        """What a phase waits for has changed."""
        self._display.on_wait(phase)

    def on_end(self, phase: Phase, *, failed: bool) -> None:
        """A phase ended."""
        self._phases.remove(phase)
        self._monitor.on_phases(list(self._phases))
        self._display.on_end(phase, failed=failed)

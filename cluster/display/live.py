"""The live view of a run on a terminal, drawn with Rich."""

import time
from collections import deque

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from redline.cluster.display.progress import Phase
from redline.cluster.loop.records import StepReport

_ROWS = 10
_SPARKS = "▁▂▃▄▅▆▇█"
_SPARK_POINTS = 60


class LiveView:
    """Phases with running clocks, the last steps as a table, and a sparkline of the solve rate."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._began = time.monotonic()
        self._phases: list[Phase] = []
        self._rows: deque[tuple[int, StepReport]] = deque(maxlen=_ROWS)
        self._solved: list[float] = []
        self._done, self._total = 0, 0
        self._live = Live(
            console=Console(stderr=True), get_renderable=self._render, refresh_per_second=4
        )
        self._live.start()

    def print(self, message: str) -> None:
        """Write a line above the live part."""
        self._live.console.print(Text(message))

    def begin(self, phase: Phase) -> None:
        """Show a phase."""
        self._phases.append(phase)

    def end(self, phase: Phase, *, failed: bool) -> None:
        """Replace a phase by a line."""
        self._phases.remove(phase)
        mark = Text("✗ ", style="red") if failed else Text("✓ ", style="green")
        self._live.console.print(mark + Text(f"{phase.name} ({phase.seconds:.1f} s)"))

    def add_step(self, number: int, total: int, report: StepReport) -> None:
        """Add a row to the table."""
        self._done, self._total = number, total
        self._rows.append((number, report))
        self._solved.append(report.result.solve_rate)

    def close(self) -> None:
        """Stop drawing and leave the last state."""
        self._live.stop()

    def _render(self) -> RenderableType:
        parts: list[RenderableType] = []
        for phase in tuple(self._phases):
            rest = f"  waiting for {', '.join(phase.waiting_for)}" * bool(phase.waiting_for)
            parts.append(Text(f"… {phase.name} {phase.seconds:.0f} s{rest}", style="cyan"))
        if self._rows:
            parts += [self._header(), self._table()]
        return Group(*parts)

    def _header(self) -> RenderableType:
        seconds = time.monotonic() - self._began
        grid = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(self._total, 1), completed=self._done, width=30)
        grid.add_row(
            Text(self._title, style="bold"),
            bar,
            Text(f"step {self._done}/{self._total}"),
            Text(f"{seconds // 60:.0f}:{seconds % 60:02.0f}", style="dim"),
            Text("solved"),
            Text(sparkline(self._solved), style="green"),
        )
        return grid

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 1), header_style="dim")
        columns = (
            "step", "reward", "solved", "turns", "tokens/s", "stale", "dlogp", "pause ms",
            "wait", "train", "push",
        )  # fmt: skip
        for name in columns:
            table.add_column(name, justify="right")
        for number, report in self._rows:
            table.add_row(*_cells(number, report))
        return table


def sparkline(values: list[float]) -> str:
    """Values between 0 and 1 as a line of bars; many values are averaged into few bars."""
    per_bar = -(-len(values) // _SPARK_POINTS) or 1
    chunks = [values[i : i + per_bar] for i in range(0, len(values), per_bar)]
    means = [sum(chunk) / len(chunk) for chunk in chunks]
    top = max(means, default=0.0) or 1.0
    return "".join(_SPARKS[min(7, int(8 * max(0.0, mean) / top))] for mean in means)


def _cells(number: int, report: StepReport) -> list[str]:
    result = report.result
    return [
        str(number),
        f"{result.reward_mean:+.3f}",
        f"{result.solve_rate:.1%}",
        f"{result.num_turns:.2f}",
        f"{report.tokens_per_second:.0f}",
        f"{result.staleness_mean:.2f}/{result.staleness_max}",
        f"{report.max_abs_dlogp:.1e}",
        f"{report.pause_ms:.0f}",
        f"{report.seconds_wait:.2f}",
        f"{report.seconds_train:.2f}",
        f"{report.seconds_push:.2f}",
    ]

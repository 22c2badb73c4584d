"""The terminal view of a run, drawn with Rich from its status file and its steps."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from redline.cluster.display.live import sparkline
from redline.cluster.metrics import read_steps
from redline.cluster.status_file import RunState, RunStatus, WorkerState, WorkerStatus, read_status

_STATE_STYLE = {
    RunState.FAILED: "bold red",
    RunState.STOPPED: "yellow",
    RunState.FINISHED: "bold green",
}
_WORKER_STYLE = {
    WorkerState.STARTING: "cyan",
    WorkerState.SERVING: "green",
    WorkerState.SILENT: "yellow",
    WorkerState.LOST: "bold red",
}
_RECENT_STEPS = 200


def watch(folder: Path, every: float) -> None:
    """Redraw until the run is over or the user leaves; UserError when there is nothing to see."""
    status = read_status(folder)
    with Live(view(folder, status), refresh_per_second=4, screen=False) as live:
        while not status.state.over:
            time.sleep(every)
            status = read_status(folder)
            live.update(view(folder, status))


def show_once(folder: Path) -> None:
    """Print the view; UserError when there is nothing to see."""
    Console().print(view(folder, read_status(folder)))


def view(folder: Path, status: RunStatus) -> RenderableType:
    """Everything at a glance."""
    steps = read_steps(folder / "metrics" / "steps.jsonl")[-_RECENT_STEPS:]
    parts: list[RenderableType] = [_head(status), *_notes(status)]
    sides = Table.grid(padding=(0, 4))
    sides.add_row(_throughput(status), _learning(status, steps), _drops(status))
    return Group(*parts, Text(), sides, Text(), _fleet(status.workers))


def _head(status: RunStatus) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    done = ProgressBar(total=max(status.steps, 1), completed=status.step, width=30)
    ended = status.written_at if status.state.over else time.time()
    grid.add_row(
        Text(status.run, style="bold"),
        Text(status.state, style=_STATE_STYLE.get(status.state, "cyan")),
        done,
        Text(f"step {status.step}/{status.steps}"),
        Text(_clock(ended - status.started_at), style="dim"),
        Text(f"attempt {status.attempt}" * (status.attempt > 1), style="dim"),
    )
    return grid


def _notes(status: RunStatus) -> list[Text]:
    """What goes on or went wrong, one line each."""
    notes = []
    if status.late():
        notes.append(
            Text(
                f"nothing heard for {_clock(status.age())}: process {status.pid} on {status.host} "
                "is gone or hangs; --resume goes on from the last checkpoint",
                style="bold red",
            )
        )
    if status.problem:
        notes.append(Text(status.problem, style="red"))
    if status.state.over:
        return notes
    rest = f", waiting for {', '.join(status.waiting_for)}" * bool(status.waiting_for)
    if status.phases:
        notes.append(Text(f"… {', '.join(status.phases)}{rest}", style="cyan"))
    if status.state is RunState.TRAINING and status.step_at:
        since = max(0.0, time.time() - status.step_at)
        notes.append(Text(f"last step {_clock(since)} ago", style="dim"))
    return notes


def _throughput(status: RunStatus) -> Table:
    value = status.value
    return _table(
        "throughput",
        [
            ("trajectories/s", _number(value("redline_trajectories_per_second"))),
            ("tokens/s trained", _number(value("redline_trained_tokens_per_second"), 0)),
            ("tokens/s sampled", _number(value("redline_sampled_tokens_per_second"), 0)),
            ("executions/s", _number(value("redline_sandbox_executions_per_second"))),
            ("programs queued", _number(value("redline_sandbox_queued"), 0)),
            ("sampler idle", _share(value("redline_idle_ratio", role="sampler"))),
            ("learner idle", _share(value("redline_idle_ratio", role="learner"))),
            ("pause of a push", _milliseconds(value("redline_weight_pause_seconds"))),
        ],
    )


def _learning(status: RunStatus, steps: Sequence[Mapping[str, Any]]) -> Table:
    value = status.value
    table = _table(
        "learning",
        [
            ("solved", _share(value("redline_solve_rate"))),
            ("held-out, greedy", _share(value("redline_heldout_solve_rate", arm="greedy"))),
            ("reward", _number(value("redline_reward_mean"), 3)),
            ("turns", _number(value("redline_turns_per_trajectory"), 2)),
            ("entropy", _number(value("redline_entropy"), 3)),
            ("staleness", _staleness(status)),
            ("sampler vs learner", _small(value("redline_probe_max_abs_dlogp"))),
        ],
    )
    solved = [float(step["rollout/solve_rate"]) for step in steps]
    if solved:
        table.add_row(Text("curve of solved"), Text(sparkline(solved), style="green"))
    return table


def _drops(status: RunStatus) -> Table:
    def counts(name: str, label: str) -> list[tuple[str, str]]:
        found: dict[str, float] = {}
        for sample in status.samples:
            if sample.name == name:
                key = sample.labels[label]
                found[key] = found.get(key, 0.0) + sample.value
        return [(key, f"{count:.0f}") for key, count in sorted(found.items()) if count]

    dropped = counts("redline_dropped_trajectories", "reason")
    kills = counts("redline_sandbox_kills", "reason")
    errors = status.value("redline_sandbox_infrastructure_errors")
    rows = [(f"dropped, {reason}", count) for reason, count in dropped]
    rows += [(f"ended by {reason}", count) for reason, count in kills]
    rows += [
        ("aborted episodes", _number(status.value("redline_aborted_episodes"), 0)),
        ("without verdict", _number(errors, 0)),
        ("restarts", _number(status.value("redline_worker_restarts"), 0)),
    ]
    return _table("drops and failures", rows)


def _fleet(workers: Sequence[WorkerStatus]) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim", title_justify="left")
    for name in ("worker", "state", "version", "node", "what it does"):
        table.add_column(name)
    for worker in workers:
        table.add_row(
            worker.name,
            Text(worker.state, style=_WORKER_STYLE[worker.state]),
            "" if worker.version is None else str(worker.version),
            worker.node,
            Text(worker.problem, style="red") if worker.problem else _work(worker),
        )
    return table


def _work(worker: WorkerStatus) -> str:
    """A worker's own numbers in a few words."""
    numbers = worker.numbers
    names = {
        "sampler": (("running", "episodes running"), ("episodes", "done"), ("aborted", "aborted")),
        "sandbox": (("running", "running"), ("queued", "queued"), ("executions", "executed")),
        "replay": (("available", "groups waiting"), ("leased", "leased"), ("committed", "trained")),
    }.get(worker.role, ())
    return ", ".join(f"{numbers[key]:.0f} {text}" for key, text in names if key in numbers)


def _table(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    table = Table(box=None, padding=(0, 1), show_header=True, header_style="bold")
    table.add_column(title)
    table.add_column("", justify="right")
    for name, value in rows:
        table.add_row(Text(name, style="dim"), value)
    return table


def _staleness(status: RunStatus) -> str:
    mean = status.value("redline_staleness_mean")
    most, bound = status.value("redline_staleness_max"), status.value("redline_max_staleness")
    if mean is None or most is None or bound is None:
        return "–"
    return f"{mean:.2f} (max {most:.0f} of {bound:.0f})"


def _number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _small(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}"


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1e3 * seconds:.0f} ms"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

"""What `redline replay ls` and `redline replay verify` print, as Rich renderables."""

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from redline.replay.catalog import Catalog, GroupState, GroupSummary, SegmentSummary
from redline.replay.records import TrajectoryStatus
from redline.replay.render import STATUS_STYLES, reward_text, version_range
from redline.replay.verify import VerifyReport

_STATE_STYLES = {
    GroupState.WAITING: "cyan",
    GroupState.COMMITTED: "green",
    GroupState.DROPPED: "red",
}
_BAR = 30


def render_catalog(catalog: Catalog, *, newest: int = 12) -> RenderableType:
    """Totals of a store, how its episodes ended, and its `newest` groups and segments."""
    groups = catalog.groups
    blocks: list[RenderableType] = [_totals(catalog)]
    if groups:
        blocks += [_statuses(catalog), Text(), _groups(groups, newest), _segments(catalog, newest)]
    else:
        blocks.append(Text("no sealed groups yet", "dim"))
    blocks += [Text(problem, "bold red") for problem in catalog.problems]
    return Group(*blocks)


def render_report(report: VerifyReport) -> RenderableType:
    """What `verify_store` found."""
    verdict = Text("sound", "bold green") if report.ok else Text("damaged", "bold red")
    facts = (
        f"  {report.groups} groups, {report.trajectories} trajectories, {report.segments} segments,"
        f" {_size(report.nbytes)} read"
    )
    problems = [Text(f"✗ {problem}", "red") for problem in report.problems]
    return Group(Text.assemble((report.path, "bold"), "  ", verdict, (facts, "dim")), *problems)


def _totals(catalog: Catalog) -> RenderableType:
    groups = catalog.groups
    grid = Table.grid(padding=(0, 3))
    trajectories = sum(len(group.statuses) for group in groups)
    cells = [
        ("groups", f"{len(groups):,}"),
        ("trajectories", f"{trajectories:,}"),
        ("tokens", f"{sum(group.tokens for group in groups):,}"),
        ("size", _size(catalog.nbytes)),
        ("segments", f"{len(catalog.segments):,}"),
        ("retired", f"{catalog.retired:,}"),
    ]
    grid.add_row(*(Text(value, "bold") for _, value in cells))
    grid.add_row(*(Text(name, "dim") for name, _ in cells))
    states = Text("   ").join(
        Text.assemble((f"{catalog.count(state):,} ", "bold"), (state, _STATE_STYLES[state]))
        for state in GroupState
    )
    return Group(Text(catalog.path, "bold"), Text(), grid, Text(), states, Text())


def _statuses(catalog: Catalog) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column(justify="right")
    grid.add_column(no_wrap=True)
    counts = catalog.statuses
    total = sum(entry.trajectories for entry in counts)
    for entry in counts:
        share = entry.trajectories / total
        style = STATUS_STYLES[entry.status]
        bar = Text("█" * max(1, round(share * _BAR)), style)
        grid.add_row(Text(entry.status, style), f"{entry.trajectories:,}", f"{share:.0%}", bar)
    return grid


def _groups(groups: tuple[GroupSummary, ...], newest: int) -> Table:
    table = _table(f"newest groups ({min(newest, len(groups))} of {len(groups):,})")
    table.add_column("no.", justify="right", style="dim", no_wrap=True)
    table.add_column("group", no_wrap=True, overflow="fold")
    table.add_column("task", overflow="ellipsis")
    table.add_column("state", no_wrap=True)
    table.add_column("solved", justify="right", no_wrap=True)
    table.add_column("reward", justify="right", no_wrap=True)
    table.add_column("tokens", justify="right", no_wrap=True)
    table.add_column("weights", no_wrap=True)
    for group in groups[-newest:]:
        solved = sum(status is TrajectoryStatus.SOLVED for status in group.statuses)
        table.add_row(
            str(group.sequence),
            group.group_id,
            group.task_id,
            Text(group.state, _STATE_STYLES[group.state]),
            f"{solved}/{len(group.statuses)}",
            reward_text(group.reward_mean),
            f"{group.tokens:,}",
            version_range(group.oldest_version, group.newest_version),
        )
    return table


def _segments(catalog: Catalog, newest: int) -> Table:
    shown = catalog.segments[-newest:]
    table = _table(f"newest segments ({len(shown)} of {len(catalog.segments):,})")
    table.add_column("file", overflow="ellipsis")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("groups", justify="right", no_wrap=True)
    table.add_column("done", justify="right", no_wrap=True)
    table.add_column("reward", justify="right", no_wrap=True)
    table.add_column("weights", no_wrap=True)
    for segment in shown:
        table.add_row(*_segment_row(segment))
    return table


def _segment_row(segment: SegmentSummary) -> tuple[str | Text, ...]:
    groups = segment.groups
    sampled = [group.oldest_version for group in groups if group.oldest_version >= 0]
    done = sum(group.state is not GroupState.WAITING for group in groups)
    return (
        segment.file,
        _size(segment.nbytes),
        str(len(groups)),
        str(done),
        reward_text(float(np.mean([group.reward_mean for group in groups]))),
        version_range(min(sampled, default=-1), max(group.newest_version for group in groups)),
    )


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        header_style="dim",
        pad_edge=False,
    )


def _size(nbytes: int) -> str:
    """Bytes with a binary unit: `4.2 MiB`."""
    size = float(nbytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"

"""The end of a run: tables on the terminal, a picture, a page, and where to look next."""

import sys

from rich.console import Console

from redline.cluster.config import RunConfig
from redline.cluster.files import write_atomically
from redline.cluster.load import to_yaml
from redline.cluster.metrics import read_steps
from redline.cluster.report.page import page
from redline.cluster.report.pictures import draw_curves
from redline.cluster.report.result import RunSummary
from redline.cluster.report.rows import by_turns
from redline.cluster.report.tables import final_tables
from redline.cluster.run_directory import RunDirectory
from redline.replay.catalog import read_catalog
from redline.replay.records import TrajectoryStatus


def write_report(directory: RunDirectory, config: RunConfig, summary: RunSummary) -> None:
    """Write curves.png and report.html, and print the tables and the next commands to stderr."""
    picture, report = directory.path / "curves.png", directory.path / "report.html"
    before, after = summary.before, summary.after
    turns = by_turns(before, after) if before is not None and after is not None else []
    steps = read_steps(directory.metrics / "steps.jsonl")
    draw_curves(picture, steps, turns, title=f"redline: run {config.name}")
    commands = next_commands(directory)
    write_atomically(report, page(config.name, summary, picture, commands, to_yaml(config)))
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 110, highlight=False)
    if before is not None and after is not None:
        console.print()
        console.print(final_tables(before, after))
    console.print()
    console.print(
        f"{summary.steps} steps, {summary.trajectories:,} episodes, "
        f"{summary.tokens_trained:,} tokens trained on, {summary.seconds_total / 60:.1f} minutes, "
        f"at most {summary.peak_rss_gib:.1f} GiB; sampler and learner never differed by more than "
        f"{summary.probe_max_abs_dlogp:.1e} in a log-probability"
    )
    console.print()
    for line in (f"curves   {picture}", f"report   {report}", "look into the run:"):
        console.print(line)
    for command in commands:
        console.print(f"  {command}")


def next_commands(directory: RunDirectory) -> list[str]:
    """Commands that look into a finished run."""
    run = directory.path
    return [
        f"redline replay ls {run}",
        f"redline replay show {run} {_telling_episode(directory)}",
        f"redline eval {run}",
        f"redline export {run} my-policy",
        f"tensorboard --logdir {directory.metrics}",
    ]


def _telling_episode(directory: RunDirectory) -> str:
    """Id of a late episode that was solved while others of its group were not, if there is one."""
    groups = read_catalog(directory.replay).groups[::-1]
    mixed = (g for g in groups if TrajectoryStatus.SOLVED in g.statuses and len({*g.statuses}) > 1)
    chosen = next(mixed, groups[0] if groups else None)
    if chosen is None:
        return "ID"
    solved = TrajectoryStatus.SOLVED in chosen.statuses
    index = chosen.statuses.index(TrajectoryStatus.SOLVED) if solved else 0
    return f"{chosen.group_id}/{index}"

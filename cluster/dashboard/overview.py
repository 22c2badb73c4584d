"""The first page in plain records: tiles, drops, endings and whatever went wrong."""

from dataclasses import dataclass

from redline.cluster.dashboard.curves import Curves
from redline.cluster.dashboard.index import Snapshot
from redline.cluster.dashboard.run_files import RunFiles
from redline.cluster.dashboard.run_health import RunHealth
from redline.cluster.dashboard.search import Facets
from redline.cluster.status_file import RunStatus
from redline.replay.records import DropReason, TrajectoryStatus

_MEANINGS = {
    DropReason.STALE: "sampled by weights older than max_staleness; fewer episodes in flight or a "
    "faster learner make it rare",
    DropReason.NO_SIGNAL: "every sample of the group has the same outcome, so there is nothing to "
    "learn; many at the start are normal, later tasks are too hard or too easy",
    DropReason.ABORTED: "cut off by the system: a worker was lost or stopped",
    DropReason.TOO_LONG: "does not fit into learner.micro_batch_tokens",
    DropReason.NON_FINITE: "log-probabilities or advantages are not finite: see the learner's log",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number that tells how a run goes."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRow:
    """How often something happened."""

    name: str
    count: int
    share: float | None = None
    """Of all that are counted with it, 0 to 1."""
    meaning: str = ""
    link: str = ""


def tiles(files: RunFiles, curves: Curves, status: RunStatus | None) -> tuple[Tile, ...]:
    """The numbers at the top of the page; recent ones are smoothed."""
    step = curves.steps[-1] if curves.steps else 0
    goal = status.steps if status else files.steps
    waits = [_percent(curves, name) for name in ("rollouter/idle_ratio", "trainer/idle_ratio")]
    return (
        Tile(label="step", value=f"{step:,}", note=f"of at most {goal:,}" if goal else ""),
        Tile(label="solve rate", value=_percent(curves, "rollout/solve_rate"), note="of episodes"),
        Tile(label="reward", value=_recent(curves, "rollout/reward_mean", "+.3f"), note="mean"),
        Tile(label="tokens/s", value=_recent(curves, "perf/throughput", ",.0f"), note="trained"),
        Tile(
            label="trajectories/s",
            value=_recent(curves, "perf/trajectories_per_s", ",.1f"),
            note=f"{curves.get('trajectories').total:,.0f} trained in all",
        ),
        Tile(
            label="staleness",
            value=_recent(curves, "staleness/mean", ".2f"),
            note=f"highest {_last(curves, 'staleness/max', '.0f')}",
        ),
        Tile(label="idle", value=waits[0], note=f"samplers; learner {waits[1]}"),
    )


def drops(curves: Curves) -> tuple[CountRow, ...]:
    """Trajectories that were not trained on, by reason; the share is of all that were stored."""
    counts = {reason: round(curves.get(f"dropped/{reason}").total) for reason in DropReason}
    everything = sum(counts.values()) + round(curves.get("trajectories").total)
    return tuple(
        CountRow(
            name=str(reason).replace("_", " "),
            count=count,
            share=count / max(everything, 1),
            meaning=_MEANINGS[reason],
        )
        for reason, count in counts.items()
    )


def endings(facets: Facets) -> tuple[CountRow, ...]:
    """How stored trajectories ended, each with a search for them."""
    total = sum(count for _, count in facets.statuses)
    return tuple(
        CountRow(
            name=str(status).replace("_", " "),
            count=count,
            share=count / max(total, 1),
            meaning=_ENDINGS[status],
            link=f"/trajectories?status={status}",
        )
        for status, count in facets.statuses
    )


_ENDINGS = {
    TrajectoryStatus.SOLVED: "EXIT with every test passing",
    TrajectoryStatus.EXITED: "EXIT while a test failed",
    TrajectoryStatus.TURN_LIMIT: "no EXIT within the allowed turns",
    TrajectoryStatus.TRUNCATED: "the context was full before EXIT",
    TrajectoryStatus.ABORTED: "cut off by the system; never trained on",
}


def failures(
    health: RunHealth, status: RunStatus | None, curves: Curves, snapshot: Snapshot
) -> tuple[str, ...]:
    """Everything that needs a look, one line each; empty when all is well."""
    found = [] if health.good else [f"the run is {health.state}: {health.note}"]
    for worker in status.workers if status else ():
        if worker.problem:
            found.append(f"{worker.name}: {worker.problem}")
    skipped = curves.get("learner/skipped_steps").last
    if skipped:
        found.append(f"{skipped:.0f} steps were skipped: their loss or gradient was not finite")
    if curves.problem:
        found.append(f"{curves.problem}; the curves end there")
    return (*found, *snapshot.problems)


def _recent(curves: Curves, name: str, form: str) -> str:
    smooth = curves.get(name).smooth
    return format(smooth[-1], form) if smooth and smooth[-1] == smooth[-1] else "–"


def _last(curves: Curves, name: str, form: str) -> str:
    value = curves.get(name).last
    return "–" if value is None else format(value, form)


def _percent(curves: Curves, name: str) -> str:
    return _recent(curves, name, ".1%")

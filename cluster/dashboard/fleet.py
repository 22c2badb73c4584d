"""The workers of a run as rows of a table."""

import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from redline.cluster.status_file import RunStatus, WorkerState, WorkerStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRow:
    """One worker."""

    name: str
    role: str
    state: str
    good: bool
    version: str
    """Weight version, and how many it is behind the learner's."""
    node: str
    note: str
    """What is wrong, or what it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """All workers that the run directory knows of."""

    rows: tuple[FleetRow, ...]
    source: str
    """Where this comes from, in words."""


def fleet_view(
    status: RunStatus | None, trajectories: pa.Table, isolation: Path, *, live: bool
) -> FleetView:
    """The fleet by the status file; without one, by what the workers left in the run directory."""
    if status is not None:
        rows = tuple(_told(worker, status, live=live) for worker in status.workers)
        when = "now" if live else "when the run was last heard of"
        return FleetView(rows=rows, source=f"as the run's driver saw it {when}")
    return FleetView(
        rows=(*_samplers(trajectories), *_sandboxes(isolation)),
        source=(
            "read from stored trajectories and isolation.json: this run keeps no status file, so "
            "whether its workers are alive is not known"
        ),
    )


def _told(worker: WorkerStatus, status: RunStatus, *, live: bool) -> FleetRow:
    numbers = ", ".join(
        f"{name.replace('_', ' ')} {value:g}" for name, value in sorted(worker.numbers.items())
    )
    good = worker.state in (WorkerState.SERVING, WorkerState.STARTING)
    return FleetRow(
        name=worker.name,
        role=worker.role,
        state=str(worker.state) if live or not good else "ended",
        good=good,
        version=_version(worker.version, status.version),
        node=worker.node,
        note=worker.problem or numbers,
    )


def _version(version: int | None, learner: int) -> str:
    if version is None:
        return "–"
    return f"v{version}" if version >= learner else f"v{version}, {learner - version} behind"


def _samplers(trajectories: pa.Table) -> list[FleetRow]:
    found = trajectories.group_by("worker").aggregate(
        [("newest_version", "max"), ("trajectory_id", "count")]
    )
    return [
        FleetRow(
            name=row["worker"], role="sampler", state="not known", good=True,
            version=f"v{row['newest_version_max']} sampled last", node="",
            note=f"{row['trajectory_id_count']} trajectories in the store",
        )
        for row in sorted(found.to_pylist(), key=lambda row: row["worker"])
    ]  # fmt: skip


def _sandboxes(isolation: Path) -> list[FleetRow]:
    try:
        entries = json.loads(isolation.read_text(encoding="utf-8"))["sandboxes"]
        return [
            FleetRow(
                name=entry["worker"], role="sandbox", state="not known", good=True, version="–",
                node=entry["node"], note=f"isolation: {entry['tier']}",
            )
            for entry in entries
        ]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return []  # not written yet, or by another release: there is nothing to tell

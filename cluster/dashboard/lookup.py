"""From a row of the index to the records of its group."""

from dataclasses import dataclass

import pyarrow.compute as pc

from redline.cluster.dashboard.index import TrajectoryIndex
from redline.cluster.dashboard.search import ResultRow, group_rows, to_rows
from redline.replay import identity
from redline.replay.decode import batches_to_groups
from redline.replay.errors import ReplayError
from redline.replay.records import Trajectory, TrajectoryGroup
from redline.replay.segment import Segment, SegmentName, list_segments


class NotStored(LookupError):
    """No such trajectory or group; its message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A trajectory, and what the index knows of it and of the others of its group."""

    trajectory: Trajectory
    facts: ResultRow
    group: tuple[ResultRow, ...]
    """All samples of the group in their order, this one too."""


def find(index: TrajectoryIndex, trajectory_id: str) -> Found:
    """One trajectory by its id; raises `NotStored`."""
    snapshot = index.snapshot
    table = snapshot.table
    rows = to_rows(table.filter(pc.equal(table.column("trajectory_id"), trajectory_id)))
    if not rows:
        raise NotStored(
            f"no trajectory {trajectory_id!r} in the store: its id is wrong, it is not sealed "
            "yet, or retention deleted it"
        )
    group = _read(index, rows[0].sequence)
    return Found(
        trajectory=group.trajectories[rows[0].row],
        facts=rows[0],
        group=group_rows(snapshot, rows[0].group_id),
    )


def find_group(index: TrajectoryIndex, group_id: str) -> TrajectoryGroup:
    """One group by its id; raises `NotStored`."""
    rows = group_rows(index.snapshot, group_id)
    if not rows:
        raise NotStored(f"no group {group_id!r} in the store")
    return _read(index, rows[0].sequence)


def _read(index: TrajectoryIndex, sequence: int) -> TrajectoryGroup:
    for file in list_segments(index.store / identity.SEGMENTS):
        name = SegmentName.parse(file.name)
        if name is not None and name.first <= sequence < name.stop:
            try:
                return batches_to_groups([Segment(file, verify=False).batch(sequence)])[0]
            except (FileNotFoundError, ReplayError) as error:
                raise NotStored(f"group number {sequence} cannot be read: {error}") from error
    raise NotStored(f"group number {sequence} is no longer in the store: retention deleted it")

"""Looking into a store without touching it: what it holds, and single trajectories.

Reading takes no lock and changes no file, so it works beside the process that writes.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redline.replay import identity
from redline.replay.decode import batches_to_groups
from redline.replay.errors import SegmentError, StoreError
from redline.replay.history import read_ledger
from redline.replay.ledger import Ledger
from redline.replay.manifest import find_lost, read_manifest
from redline.replay.places import Place, StorePath, place_of
from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus
from redline.replay.segment import Segment, list_segments


class GroupState(StrEnum):
    """What happened to a stored group, as far as files tell: a leased one is still waiting."""

    WAITING = "waiting"
    COMMITTED = "committed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCount:
    """Trajectories that ended in one way."""

    status: TrajectoryStatus
    trajectories: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    """One group of a store."""

    sequence: int
    group_id: str
    task_id: str
    state: GroupState
    statuses: tuple[TrajectoryStatus, ...]
    """One for each trajectory, in sample order."""
    reward_mean: float
    tokens: int
    oldest_version: int
    newest_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSummary:
    """One sealed file of a store."""

    file: str
    nbytes: int
    groups: tuple[GroupSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Everything that listing a store shows."""

    path: str
    store_id: str
    segments: tuple[SegmentSummary, ...]
    retired: int
    """Groups whose segments retention deleted."""
    problems: tuple[str, ...]
    """Damaged, quarantined and missing files, with the groups that they held."""

    @property
    def groups(self) -> tuple[GroupSummary, ...]:
        """All groups, oldest first."""
        return tuple(group for segment in self.segments for group in segment.groups)

    @property
    def nbytes(self) -> int:
        """Size of all segments."""
        return sum(segment.nbytes for segment in self.segments)

    @property
    def statuses(self) -> tuple[StatusCount, ...]:
        """Trajectories by how they ended, the most frequent first."""
        counts = Counter(status for group in self.groups for status in group.statuses)
        return tuple(
            StatusCount(status=status, trajectories=n) for status, n in counts.most_common()
        )

    def count(self, state: GroupState) -> int:
        """Number of groups on disk in one state."""
        return sum(group.state is state for group in self.groups)


def read_catalog(path: StorePath) -> Catalog:
    """List the store at `path`; corrupt segments become problems, not errors.

    Raises `StoreError` when there is no store, `SchemaVersionError` for another version's, and
    `JournalError` when its journal is damaged in the middle.
    """
    root = place_of(path)
    store_id = identity.read_store_id(root)
    ledger = read_ledger(root)
    directory = root / identity.SEGMENTS
    manifest = read_manifest(root)
    problems: list[str] = []
    segments: list[SegmentSummary] = []
    bad: set[str] = set()
    for file in list_segments(directory):
        try:
            segments.append(_summarise(Segment(file), ledger))
        except SegmentError as error:
            problems.append(str(error))
            bad.add(file.name)
        except FileNotFoundError:
            continue  # the writer's retention deleted it since the directory was listed
    retired = read_ledger(root).retired  # once more: the writer may be at work
    sound = {segment.file for segment in segments}
    problems += map(str, find_lost(root, manifest, retired, sound=sound, bad=bad))
    return Catalog(
        path=str(root),
        store_id=store_id,
        segments=tuple(segments),
        retired=len(retired),
        problems=tuple(problems),
    )


def read_groups(path: StorePath) -> Iterator[TrajectoryGroup]:
    """All groups of the store at `path`, oldest first; raises `SegmentError` for a corrupt one."""
    for batch in read_batches(path):
        yield from batches_to_groups([batch])


def read_newest(path: StorePath, count: int) -> list[TrajectoryGroup]:
    """The `count` newest groups of the store at `path`, the newest first."""
    newest: list[TrajectoryGroup] = []
    for file in reversed(_files(path)):
        batches = [batch for _, batch in Segment(file).numbered()]
        newest += reversed(batches_to_groups(batches))
        if len(newest) >= count:
            break
    return newest[:count]


def read_batches(path: StorePath) -> Iterator[pa.RecordBatch]:
    """The same as Arrow record batches of `schema.SCHEMA`, memory-mapped, one per group."""
    return (batch for _, batch in read_numbered(path))


def read_numbered(path: StorePath) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The same with the sequence number of each group."""
    for file in _files(path):
        yield from Segment(file).numbered()


def group_state(sequence: int, ledger: Ledger) -> GroupState:
    """What became of a group."""
    if sequence in ledger.committed:
        return GroupState.COMMITTED
    return GroupState.DROPPED if ledger.is_done(sequence) else GroupState.WAITING


def find_group(path: StorePath, group_id: str) -> TrajectoryGroup:
    """One group; raises `StoreError` naming the newest ids when there is none of this id."""
    return batches_to_groups([_find(path, "group_id", group_id)])[0]


def find_trajectory(path: StorePath, trajectory_id: str) -> Trajectory:
    """One trajectory; raises `StoreError` naming the newest ids when there is none of this id."""
    group = batches_to_groups([_find(path, "trajectory_id", trajectory_id)])[0]
    return next(t for t in group.trajectories if t.trajectory_id == trajectory_id)


def newest_trajectory(path: StorePath) -> Trajectory:
    """One worth looking at: of the newest group, a solved one if any, with the most turns.

    Raises `StoreError` when the store has no sealed group.
    """
    for file in reversed(_files(path)):
        (newest,) = batches_to_groups([list(Segment(file, verify=False).numbered())[-1][1]])
        return max(newest.trajectories, key=lambda t: (t.solved, len(t.turns)))
    raise StoreError(f"{path}: no sealed groups yet")


def _files(path: StorePath) -> list[Place]:
    identity.read_store_id(place_of(path))
    return list_segments(place_of(path) / identity.SEGMENTS)


def _find(path: StorePath, column: str, value: str) -> pa.RecordBatch:
    """The group's batch in which `column` has `value`, looked for from the newest on."""
    newest: list[str] = []
    for file in reversed(_files(path)):
        for _, batch in reversed(list(Segment(file, verify=False).numbered())):
            ids = batch.column(column)
            if pc.index(ids, value).as_py() >= 0:
                return batch
            if len(newest) < 5:
                newest.append(ids[0].as_py())
    raise StoreError(
        f"{path}: no {column} {value!r}; the newest are {', '.join(newest) or 'none: it is empty'}"
    )


def _summarise(segment: Segment, ledger: Ledger) -> SegmentSummary:
    return SegmentSummary(
        file=segment.path.name,
        nbytes=segment.nbytes,
        groups=tuple(_group(number, batch, ledger) for number, batch in segment.numbered()),
    )


def _group(sequence: int, batch: pa.RecordBatch, ledger: Ledger) -> GroupSummary:
    oldest = batch.column("oldest_version").to_numpy()
    return GroupSummary(
        sequence=sequence,
        group_id=batch.column("group_id")[0].as_py(),
        task_id=batch.column("task_id")[0].as_py(),
        state=group_state(sequence, ledger),
        statuses=tuple(TrajectoryStatus(s) for s in batch.column("status").to_pylist()),
        reward_mean=float(np.mean(batch.column("reward").to_numpy())),
        tokens=int(np.sum(batch.column("tokens").to_numpy())),
        oldest_version=int(min(oldest[oldest >= 0], default=-1)),
        newest_version=int(np.max(batch.column("newest_version").to_numpy())),
    )

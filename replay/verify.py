"""Checking a whole store: every byte of every segment, every id, every journal line."""

from dataclasses import dataclass

import pyarrow as pa

from redline.replay import identity
from redline.replay.errors import JournalError, SchemaVersionError, SegmentError
from redline.replay.history import read_ledger
from redline.replay.manifest import LostSegment, find_lost, read_manifest
from redline.replay.places import Place, StorePath, place_of
from redline.replay.segment import Segment, list_segments
from redline.replay.sequences import SequenceSet


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What a check of a store found."""

    path: str
    segments: int
    groups: int
    trajectories: int
    nbytes: int
    problems: tuple[str, ...]
    """One line each, naming the file; empty when the store is sound."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify_store(path: StorePath) -> VerifyReport:
    """Check checksums, schema, Arrow structure, unique ids, gaps and journals; changes nothing.

    Raises `StoreError` when there is no store at `path`.
    """
    root = place_of(path)
    identity.read_store_id(root)
    check = _Check()
    directory = root / identity.SEGMENTS
    for file in list_segments(directory):
        check.segment(file)
    try:
        ledger = read_ledger(root)
    except JournalError as error:
        check.problems.append(str(error))
    else:
        for lost in check.lost(root, ledger.retired):
            check.problems.append(str(lost))
            check.elsewhere.add_range(lost.first, lost.first + lost.groups - 1)
        check.gaps(directory, ledger.retired)
    return VerifyReport(
        path=str(root),
        segments=check.segments,
        groups=len(check.seen),
        trajectories=check.trajectories,
        nbytes=check.nbytes,
        problems=tuple(check.problems),
    )


class _Check:
    """Counts and complaints while the segments are read."""

    def __init__(self) -> None:
        self.segments = 0
        self.trajectories = 0
        self.nbytes = 0
        self.seen: dict[str, str] = {}
        self.numbers = SequenceSet()
        self.elsewhere = SequenceSet()
        self.sound: set[str] = set()
        self.bad: set[str] = set()
        self.problems: list[str] = []

    def segment(self, file: Place) -> None:
        self.segments += 1
        self.nbytes += file.stat().st_size
        try:
            segment = Segment(file)
            for sequence, batch in segment.numbered():
                self._group(file, sequence, batch)
        except (SegmentError, SchemaVersionError) as error:
            self.problems.append(str(error))
            self.bad.add(file.name)
        else:
            self.sound.add(file.name)

    def _group(self, file: Place, sequence: int, batch: pa.RecordBatch) -> None:
        try:
            batch.validate(full=True)
        except pa.ArrowInvalid as error:
            self.problems.append(f"{file}, group {sequence}: {error}")
        if sequence in self.numbers:
            self.problems.append(f"{file}: another segment has group number {sequence} too")
        self.numbers.add_range(sequence, sequence)
        self.trajectories += batch.num_rows
        for group_id in sorted(set(batch.column("group_id").to_pylist())):
            if group_id in self.seen:
                self.problems.append(f"{file}: group {group_id} is in {self.seen[group_id]} too")
            self.seen[group_id] = file.name

    def lost(self, root: Place, retired: SequenceSet) -> list[LostSegment]:
        manifest = read_manifest(root)
        return find_lost(root, manifest, retired, sound=self.sound, bad=self.bad)

    def gaps(self, directory: Place, retired: SequenceSet) -> None:
        """Complain of numbers that neither a segment nor retention accounts for."""
        known = retired.copy()
        known.update(self.numbers)
        known.update(self.elsewhere)
        expected = 0
        for first, last in known.ranges():
            if first > expected:
                self.problems.append(
                    f"{directory}: groups numbered {expected} to {first - 1} are missing"
                )
            expected = last + 1

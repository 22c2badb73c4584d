"""An index of a store's trajectories that grows with the store and changes nothing in it.

A refresh reads only segments that are new since the last one, forgets those that retention
deleted, and looks at the journals when they changed. What it found is one immutable snapshot, so
searches in other threads never wait and never see half of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import pyarrow as pa

from redline.cluster.dashboard.group_fates import read_fates
from redline.cluster.dashboard.segment_rows import ROWS, read_segment_rows
from redline.replay import identity
from redline.replay.errors import JournalError, ReplayError
from redline.replay.object_path import ObjectPath
from redline.replay.places import Place
from redline.replay.segment import list_segments

INDEX = pa.schema(
    [
        *ROWS,
        ("state", pa.string()),
        ("reason", pa.string()),
        ("step", pa.int32()),
    ]
)
"""`ROWS` and what became of the group: state, reason of a drop, step that trained on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that was known of a store at one moment."""

    table: pa.Table
    """One row of `INDEX` for each trajectory, oldest group first."""
    problems: tuple[str, ...] = ()
    """What could not be read, one line each."""


class TrajectoryIndex:
    """The index of one store, which need not exist yet."""

    def __init__(self, store: Place) -> None:
        self.store = store
        self.snapshot = Snapshot(table=INDEX.empty_table())
        self._segments: dict[str, pa.Table] = {}
        self._bad: dict[str, str] = {}
        self._seen: object = None
        self._lock = Lock()

    def refresh(self) -> bool:
        """Take up what changed; returns whether anything did."""
        with self._lock:
            files = list_segments(self.store / identity.SEGMENTS)
            seen = ([file.name for file in files], *map(self._mark, _JOURNALS))
            if seen == self._seen:
                return False
            self._read_segments(files)
            self.snapshot = self._make_snapshot()
            self._seen = seen
            return True

    def _mark(self, name: str) -> object:
        """Something that differs when the journal was written to or replaced."""
        journal = self.store / name
        if isinstance(journal, ObjectPath):  # one object for each entry
            return sorted(entry.name for entry in journal.glob("*"))
        try:
            status = journal.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _read_segments(self, files: Sequence[Place]) -> None:
        names = {file.name for file in files}
        self._segments = {n: table for n, table in self._segments.items() if n in names}
        self._bad = {n: problem for n, problem in self._bad.items() if n in names}
        for file in files:
            if file.name in self._segments or file.name in self._bad:
                continue
            try:
                self._segments[file.name] = read_segment_rows(file)
            except ReplayError as error:
                self._bad[file.name] = str(error)
            except FileNotFoundError:
                continue  # the writer's retention deleted it since the directory was listed

    def _make_snapshot(self) -> Snapshot:
        problems = list(self._bad.values())
        ordered = [self._segments[name] for name in sorted(self._segments)]
        rows = pa.concat_tables([ROWS.empty_table(), *ordered]).combine_chunks()
        sequences = rows.column("sequence").to_numpy()
        try:
            fates = read_fates(self.store)
            columns = [fates.states(sequences), fates.reasons(sequences), fates.steps(sequences)]
        except JournalError as error:
            problems.append(str(error))
            columns = [pa.nulls(len(sequences), INDEX.field(n).type) for n in INDEX.names[-3:]]
        table = pa.Table.from_arrays([*rows.columns, *columns], schema=INDEX)
        return Snapshot(table=table, problems=tuple(problems))


_JOURNALS = (identity.IDENTITY_FILE, identity.JOURNAL, identity.RETIRED)

"""The replay store: every group once, lent in order, committed durably, rewound exactly.

    append ──▶ buffer ──seal──▶ available ──lease──▶ leased ──commit──▶ committed ──compact──▶ gone
                                    ▲                  │
                                    └─release, expiry──┘        available ──lease──▶ dropped (stale)

- A group id is stored once, however often its append is repeated.
- `append` keeps a group in memory until `groups_per_segment` of them are sealed together; a
  sealed group survives `kill -9` and power loss. A lease that would come short or that has a
  staleness bound seals first, so nobody waits for a segment to fill. Use 1, or call `seal`,
  where an append must be durable.
- Groups of the oldest weights are lent first, in the order of arrival among their like: so none
  becomes too stale while younger ones are trained on. Other policies: `sampling.SamplingPolicy`.
- A rewind lends the batches that were committed since again, the same groups together.
- Commits and drops are lines of an append-only journal, fsynced before the call returns.
- `cursor` names what is done; `rewind` makes exactly that done again, so that each group is
  committed once in the history of the checkpoint that a run resumes from.

One process writes to a store at a time (see `identity.py`), from one thread at a time.
"""

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from itertools import islice
from types import TracebackType

import pyarrow as pa

from redline.replay import identity, retention
from redline.replay.cursor import Cursor
from redline.replay.decode import batches_to_groups
from redline.replay.encode import group_to_batch
from redline.replay.errors import StoreError
from redline.replay.history import History
from redline.replay.in_flight import load_in_flight, save_in_flight
from redline.replay.ledger import Ledger
from redline.replay.manifest import Manifest
from redline.replay.places import StorePath, place_of
from redline.replay.reachable import check_reachable
from redline.replay.records import DropReason, PartialGroup, TrajectoryGroup
from redline.replay.sampling import Sampling
from redline.replay.schema import check_schema
from redline.replay.shelf import Shelf, group_entry
from redline.replay.stock import take_stock
from redline.replay.store_records import Lease, StoreStats

_log = logging.getLogger(__name__)


class ReplayStore:
    """A durable queue of trajectory groups in one directory."""

    def __init__(
        self,
        path: StorePath,
        *,
        groups_per_segment: int = 4,
        lease_seconds: float = 3600.0,
        sampling: Sampling | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the store at `path`, made when it is missing; every sealed group is found again.

        `path` is a folder or a URL that `places.place_of` knows. `sampling` says which groups are
        lent, first in first out by default. Segments that are damaged or gone are logged with the
        groups that are lost; such a group is taken again unless it was trained on.

        `lease_seconds` is measured by `clock`; a lease lives no longer than this object.
        Raises `StoreError` when another process writes to it or its URL leads nowhere,
        `SchemaVersionError` when another version made it, `JournalError` when its journal is
        damaged in the middle.
        """
        if groups_per_segment < 1:
            raise StoreError(f"groups_per_segment is {groups_per_segment}, expected at least 1")
        self.path = place_of(path)
        self._groups_per_segment = groups_per_segment
        self._lease_seconds = lease_seconds
        self._sampling = sampling or Sampling()
        self._clock = clock
        self._closed = False
        self._lock = identity.take_writing(self.path)
        try:
            self.store_id = identity.create_or_read(self.path)
            self._history = History(self.path, self.store_id)
            self._manifest = Manifest(self.path)
            self._shelf = Shelf(self.path / identity.SEGMENTS)
            self._open()
        except BaseException:
            self._lock.release()
            raise

    def _open(self) -> None:
        self._ledger = Ledger(sampling=self._sampling)
        self._buffer: dict[str, pa.RecordBatch] = {}
        self._session = secrets.token_hex(4)
        self._leases_made = 0
        self._attempted = 0
        stock = take_stock(self.path, self._history, self._manifest, self._shelf, self._ledger)
        self._known, self._lost = stock.known, stock.lost
        self._next_sequence = stock.next_sequence

    def append(self, group: TrajectoryGroup) -> bool:
        """Store a group unless its id is there already; says whether it was new.

        Raises `InvalidTrajectoryError` when it cannot be stored, and OSError when sealing a full
        buffer fails: then nothing is lost, the buffer is sealed with the next group.
        """
        if group.group_id in self._known:
            return False
        return self.append_batch(group_to_batch(group))

    def append_batch(self, batch: pa.RecordBatch) -> bool:
        """`append` of a group that is a record batch already (`encode.group_to_batch`)."""
        check_schema(batch.schema, "batch")
        group_id = batch.column("group_id")[0].as_py()
        if group_id in self._known:
            return False
        self._buffer[group_id] = batch
        self._known.add(group_id)
        if len(self._buffer) >= self._groups_per_segment:
            self.seal()
        return True

    def seal(self) -> None:
        """Make every appended group durable and visible to leases; raises OSError if it cannot."""
        while self._buffer:
            self._lock.check()
            # What an attempt that failed may have left is written again as it was: one copy.
            count = self._attempted or len(self._buffer)
            self._attempted = count
            sealed = dict(islice(self._buffer.items(), count))
            path = self._shelf.write(self._next_sequence, list(sealed.values()))
            self._attempted = 0
            for sequence, (group_id, batch) in enumerate(sealed.items(), self._next_sequence):
                self._ledger.add(group_entry(sequence, batch))
                del self._buffer[group_id]
            self._next_sequence += count
            self._manifest.add(path.name, list(sealed))

    def lease(
        self,
        count: int,
        *,
        min_version: int | None = None,
        in_flight: Sequence[int] = (),
        partial: bool = False,
        extended: bool = False,
    ) -> Lease | None:
        """Lend `count` available groups by the sampling policy, or None when there are fewer.

        Groups with a token older than `min_version` are dropped for good on the way and counted
        as stale. Whoever samples other than first in first out gives the weight versions at which
        groups `in_flight` started, so that none becomes stale in waiting. With `partial`, fewer
        groups than `count` are lent too (but never none). With `extended`, a rewound batch that
        was extended is lent as it was, with more groups than `count`.
        """
        taken = self._take(count, min_version, in_flight, partial=partial, extended=extended)
        return self._lent(self._hold(taken), taken) if taken else None

    def extend(
        self,
        lease_id: str,
        count: int,
        *,
        min_version: int | None = None,
        in_flight: Sequence[int] = (),
    ) -> Lease | None:
        """Lend `count` groups more under the same lease, to be committed with it.

        Returns the whole lease in its order, or None when there are fewer; its time begins anew.
        Raises `LeaseError` when it is not held any more.
        """
        self._ledger.renew(lease_id, self._clock() + self._lease_seconds)
        more = self._take(count, min_version, in_flight)
        return self._lent(lease_id, self._ledger.extend(lease_id, more)) if more else None

    def _lent(self, lease_id: str, sequences: tuple[int, ...]) -> Lease:
        groups = batches_to_groups([self._shelf.batch(sequence) for sequence in sequences])
        return Lease(lease_id=lease_id, groups=tuple(groups))

    def _take(
        self,
        count: int,
        min_version: int | None,
        in_flight: Sequence[int],
        *,
        partial: bool = False,
        extended: bool = False,
    ) -> tuple[int, ...]:
        if count < 1:
            raise StoreError(f"lease of {count} groups, expected at least 1")
        for lease_id in self._ledger.expire(self._clock()):
            _log.warning(
                "%s: lease %s expired; its groups are available again", self.path, lease_id
            )
        if min_version is not None or self._ledger.available < count:
            # Nobody waits for a buffer to fill, and no old group is left in it for a later step.
            self.seal()
        selection = self._ledger.select(count, min_version, in_flight, extended=extended)
        if selection.stale:
            self._lock.check()
            self._history.dropped(selection.stale, DropReason.STALE)
            self._ledger.drop(selection.stale, DropReason.STALE)
        enough = partial or len(selection.sequences) >= count
        return selection.sequences if enough else ()

    def _hold(self, sequences: tuple[int, ...]) -> str:
        self._leases_made += 1
        lease_id = f"{self._session}-{self._leases_made}"
        self._ledger.hold(lease_id, sequences, self._clock() + self._lease_seconds)
        return lease_id

    def commit(self, lease_id: str) -> None:
        """Mark the groups of a lease as trained on, durably; repeating it changes nothing.

        A lease past its time can be committed as long as nobody else was offered its groups.
        Raises `LeaseError` when it is not held any more.
        """
        if self._history.is_committed(lease_id):
            return
        held = self._ledger.held(lease_id)
        self._lock.check()
        self._history.committed(lease_id, held)
        self._ledger.commit(lease_id)

    def release(self, lease_id: str) -> None:
        """Give the groups of a lease back to their places; raises `LeaseError` if not held."""
        self._ledger.release(lease_id)

    def cursor(self) -> Cursor:
        """What is committed and dropped now, for a checkpoint to keep."""
        return self._ledger.cursor(self.store_id)

    def rewind(self, cursor: Cursor) -> None:
        """Go back (or forth) to the state of a checkpoint, durably.

        Groups committed or dropped since become available again in their old order, groups
        appended since stay, leases end. Raises `StoreError` when the cursor is of another store
        or needs groups that retention deleted.
        """
        self._check_cursor(cursor)
        self._lock.check()
        self._history.rewound(cursor)
        self._ledger.rewind(cursor)
        again = {name for n, name in self._lost.items() if not self._ledger.is_done(n)}
        self._known -= again - {entry.group_id for entry in self._ledger.entries.values()}

    def _check_cursor(self, cursor: Cursor) -> None:
        try:
            check_reachable(cursor, self.store_id, self._next_sequence, self._ledger)
        except StoreError as error:
            raise StoreError(f"{self.path}: {error}") from error

    def compact(self, *, keep_committed: int, before: Cursor | None = None) -> int:
        """Delete whole segments whose groups are all done; returns the bytes freed.

        The newest segments that together hold at least `keep_committed` done groups stay, to be
        looked at. With `before`, the cursor of the oldest checkpoint that may be resumed, only
        groups that are done there too are deleted; without it, older cursors may stop working.
        """
        if before is not None:
            self._check_cursor(before)
        self._lock.check()
        doomed = retention.choose(self._shelf, self._ledger, keep_committed, before)
        freed = self._shelf.nbytes
        for path, entries in doomed:
            self._history.retired(entries)
            for entry in entries:
                self._ledger.retire(entry)
            self._shelf.remove(path)
        self._manifest.forget(self._ledger.retired)
        self._history.shorten(self._ledger)
        return freed - self._shelf.nbytes

    def save_in_flight(self, groups: Sequence[PartialGroup]) -> None:
        """Keep the turns so far of groups that are being sampled, durably, instead of the last.

        What was appended before becomes durable too: it is in flight no more.
        """
        self.seal()
        self._lock.check()
        save_in_flight(self.path, groups)

    def in_flight(self) -> tuple[PartialGroup, ...]:
        """What was saved last, without the groups that were stored since."""
        saved = load_in_flight(self.path)
        return tuple(group for group in saved if group.group_id not in self._known)

    def waiting_versions(self) -> tuple[int, ...]:
        """Oldest weight version of every group that waits to be lent, which seals them."""
        self.seal()
        return self._ledger.waiting_versions()

    def discard(self, group: TrajectoryGroup, reason: DropReason) -> bool:
        """Store a group that nobody will train on, and count it; says whether it was new."""
        new = self.append(group)
        if new:
            self.seal()
            dropped = (self._next_sequence - 1,)
            self._history.dropped(dropped, reason)
            self._ledger.drop(dropped, reason)
        return new

    def group_ids(self) -> frozenset[str]:
        """Ids of all groups that were ever appended, in whatever state they are."""
        return frozenset(self._known)

    def stats(self) -> StoreStats:
        """Counts of groups by state, and sizes."""
        ledger = self._ledger
        return StoreStats(
            buffered=len(self._buffer),
            available=ledger.available,
            leased=ledger.leased,
            committed=len(ledger.committed),
            dropped_groups=sum(len(sequences) for sequences in ledger.dropped.values()),
            dropped=ledger.drop_counts(),
            retired=len(ledger.retired),
            trajectories=sum(entry.trajectories for entry in ledger.entries.values()),
            segments=len(self._shelf.paths()),
            nbytes=self._shelf.nbytes,
            quarantined=tuple(str(path) for path in self._shelf.corrupt()),
            lost=tuple(name for name in self._lost.values() if name not in self._known),
        )

    def close(self) -> None:
        """Seal what is buffered and let the next writer in; closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self.seal()
        finally:
            self._history.close()
            self._manifest.close()
            self._lock.release()

    def __enter__(self) -> "ReplayStore":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

"""Who may have which group: the bookkeeping of a store, in memory and free of files.

Every sealed group is in exactly one state: available, leased, committed or dropped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush, nsmallest

from redline.replay.batches import BatchLog
from redline.replay.cursor import Cursor, DroppedRange, SequenceRange
from redline.replay.errors import LeaseError
from redline.replay.records import DropCount, DropReason
from redline.replay.sampling import Candidate, Sampling, choose
from redline.replay.sequences import SequenceSet
from redline.replay.settings import SamplingPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEntry:
    """What the ledger knows of a stored group."""

    sequence: int
    group_id: str
    trajectories: int
    oldest_version: int
    """Lowest weight version of any token; -1 when there is no token."""
    priority: float = 0.0
    """How much its trajectories differ in reward; see `sampling.priority`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a look through the queue found: groups to lease and groups to drop first."""

    sequences: tuple[int, ...]
    stale: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class _Held:
    sequences: tuple[int, ...]
    deadline: float


@dataclass(slots=True)
class Ledger:
    """State of every group by sequence number, and the order in which groups are leased."""

    sampling: Sampling = field(default_factory=Sampling)
    entries: dict[int, GroupEntry] = field(default_factory=dict)
    committed: SequenceSet = field(default_factory=SequenceSet)
    dropped: dict[DropReason, SequenceSet] = field(default_factory=dict)
    leases: dict[str, _Held] = field(default_factory=dict)
    retired: SequenceSet = field(default_factory=SequenceSet)
    """Groups whose data was deleted; all of them are done."""
    batches: BatchLog = field(default_factory=BatchLog)
    """What was committed, batch by batch."""
    _retired_sizes: dict[int, int] = field(default_factory=dict)
    """Trajectories of each retired group."""
    _queue: list[tuple[int, int]] = field(default_factory=list)
    """Heap of (oldest version, sequence): what would become too old first is leased first."""

    def add(self, entry: GroupEntry) -> None:
        """Take up a sealed group, available unless it is committed or dropped already."""
        self.entries[entry.sequence] = entry
        if not self.is_done(entry.sequence):
            heappush(self._queue, self._rank(entry.sequence))

    def is_done(self, sequence: int) -> bool:
        """Whether the group is committed or dropped."""
        return sequence in self.committed or any(sequence in s for s in self.dropped.values())

    def retired_outside(self, cursor: Cursor) -> int:
        """Number of retired groups that are not done in `cursor`."""
        done = cursor.done()
        return sum(sequence not in done for sequence in self.retired)

    def retire(self, entry: GroupEntry) -> None:
        """Forget a group that is done and whose data is deleted."""
        self.entries.pop(entry.sequence, None)
        self.retired.add_range(entry.sequence, entry.sequence)
        self._retired_sizes[entry.sequence] = entry.trajectories

    @property
    def available(self) -> int:
        """Number of groups that wait to be leased."""
        return len(self._queue)

    def waiting_versions(self) -> tuple[int, ...]:
        """Oldest weight version of every group that waits to be leased, in rising order."""
        return tuple(sorted(version for version, _ in self._queue))

    @property
    def leased(self) -> int:
        """Number of groups that are leased."""
        return sum(len(held.sequences) for held in self.leases.values())

    def select(
        self,
        count: int,
        min_version: int | None,
        in_flight: Sequence[int] = (),
        *,
        extended: bool = False,
    ) -> Selection:
        """The next `count` groups to lend (fewer if there are no more) and the stale ones.

        A group is stale when a token of it is older than `min_version`. A batch that was rewound
        is lent as it was, with `extended` one of more groups too; else the sampling policy
        chooses, and leaves behind nothing that would become stale, `in_flight` groups included
        (see `sampling.choose`). Nothing changes until `drop`, `hold` or `extend`.
        """
        floor = 0 if min_version is None else min_version
        stale = tuple(sorted(s for version, s in self._queue if 0 <= version < floor))
        waiting = {s for version, s in self._queue if not 0 <= version < floor}
        chosen = self.batches.again(count, waiting.__contains__, extended=extended)
        if chosen:
            return Selection(sequences=tuple(sorted(chosen, key=self._rank)), stale=stale)
        if self.sampling.policy is SamplingPolicy.FIFO:
            oldest = nsmallest(count, (self._rank(s) for s in waiting))
            return Selection(sequences=tuple(s for _, s in oldest), stale=stale)
        ordered = self.sampling.order([self._candidate(s) for s in waiting], len(self.committed))
        return Selection(sequences=choose(ordered, count, min_version, in_flight), stale=stale)

    def drop(self, sequences: Iterable[int], reason: DropReason) -> None:
        """Take available groups out for good."""
        taken = set(sequences)
        self.dropped.setdefault(reason, SequenceSet()).update(SequenceSet.of(sorted(taken)))
        self._unqueue(taken)

    def hold(self, lease_id: str, sequences: tuple[int, ...], deadline: float) -> None:
        """Lease available groups until they are committed, released or `deadline` passes."""
        self.leases[lease_id] = _Held(sequences=sequences, deadline=deadline)
        self._unqueue(set(sequences))

    def extend(self, lease_id: str, sequences: tuple[int, ...]) -> tuple[int, ...]:
        """Add available groups to a lease; returns all of it, in the order of a lease."""
        joined = sorted([*self.held(lease_id), *sequences], key=self._rank)
        self.leases[lease_id].sequences = tuple(joined)
        self._unqueue(set(sequences))
        return tuple(joined)

    def renew(self, lease_id: str, deadline: float) -> None:
        """Put off the end of a lease; raises `LeaseError` when it is not held."""
        self.held(lease_id)
        self.leases[lease_id].deadline = deadline

    def held(self, lease_id: str) -> tuple[int, ...]:
        """Groups of a lease; raises `LeaseError` when it is not held."""
        if lease_id not in self.leases:
            raise LeaseError(
                f"lease {lease_id} is not held: it expired, was released or committed, or the "
                "store was reopened or rewound since; its groups may be leased to another"
            )
        return self.leases[lease_id].sequences

    def commit(self, lease_id: str) -> None:
        """Mark the groups of a lease as trained on."""
        self.commit_batch(self.held(lease_id))
        del self.leases[lease_id]

    def commit_batch(self, sequences: Iterable[int]) -> None:
        """Mark groups as trained on together."""
        batch = sorted(sequences)
        self.committed.update(SequenceSet.of(batch))
        self.batches.commit(batch)

    def release(self, lease_id: str) -> None:
        """Give the groups of a lease back, each to its old place in the order."""
        self._requeue(self.held(lease_id))
        del self.leases[lease_id]

    def expire(self, now: float) -> list[str]:
        """Release every lease whose deadline passed; return their ids."""
        late = [lease_id for lease_id, held in self.leases.items() if held.deadline <= now]
        for lease_id in late:
            self.release(lease_id)
        return late

    def drop_counts(self) -> tuple[DropCount, ...]:
        """Trajectories dropped, by reason."""
        return tuple(
            DropCount(reason=reason, trajectories=sum(self._size(s) for s in sequences))
            for reason, sequences in sorted(self.dropped.items())
        )

    def cursor(self, store_id: str) -> Cursor:
        """What is committed and dropped, as a record."""
        return Cursor(
            store_id=store_id,
            committed=tuple(SequenceRange(first=a, last=b) for a, b in self.committed.ranges()),
            dropped=tuple(
                DroppedRange(reason=reason, groups=SequenceRange(first=a, last=b))
                for reason, sequences in sorted(self.dropped.items())
                for a, b in sequences.ranges()
            ),
        )

    def rewind(self, cursor: Cursor) -> None:
        """Make exactly the groups of `cursor` done; all leases end and the rest is available."""
        self.committed = SequenceSet((r.first, r.last) for r in cursor.committed)
        self.dropped = {}
        for entry in cursor.dropped:
            group_set = self.dropped.setdefault(entry.reason, SequenceSet())
            group_set.add_range(entry.groups.first, entry.groups.last)
        self.leases = {}
        self.batches.rewind(self.committed.__contains__)
        self._queue = sorted(self._rank(s) for s in self.entries if not self.is_done(s))

    def _size(self, sequence: int) -> int:
        """Trajectories of a group; 0 when its segment was corrupt."""
        entry = self.entries.get(sequence)
        return entry.trajectories if entry else self._retired_sizes.get(sequence, 0)

    def _rank(self, sequence: int) -> tuple[int, int]:
        """Place in the queue: oldest weights first, then the order of arrival."""
        return self.entries[sequence].oldest_version, sequence

    def _candidate(self, sequence: int) -> Candidate:
        entry = self.entries[sequence]
        return Candidate(
            sequence=sequence, oldest_version=entry.oldest_version, priority=entry.priority
        )

    def _requeue(self, sequences: Iterable[int]) -> None:
        for sequence in sequences:
            heappush(self._queue, self._rank(sequence))

    def _unqueue(self, sequences: set[int]) -> None:
        # They are the smallest of the queue or nearly so, hence popping is cheaper than filtering.
        kept: list[int] = []
        missing = len(sequences)
        while missing and self._queue:
            _, sequence = heappop(self._queue)
            if sequence in sequences:
                missing -= 1
            else:
                kept.append(sequence)
        self._requeue(kept)

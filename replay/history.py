"""The durable side of the ledger: which events the journals keep and how they are replayed.

`journal.log` has commits, drops and rewinds; `retired.log` the groups whose data was deleted,
because their ids must still be refused. A long journal is shortened to one rewind.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from redline.replay import identity
from redline.replay.cursor import Cursor
from redline.replay.errors import JournalError
from redline.replay.journal import open_journal, read_entries
from redline.replay.ledger import GroupEntry, Ledger
from redline.replay.places import Place
from redline.replay.records import DropReason
from redline.replay.sequences import SequenceSet

_SHORTEN_AT = 1_000
_REMEMBERED_LEASES = 256
_KEPT_BATCHES = 512


def apply_entry(entry: dict[str, Any], ledger: Ledger, path: Place) -> None:
    """Apply one line of `journal.log`; raises `JournalError` naming `path` if it is unknown."""
    match entry:
        case {"op": "commit", "ranges": ranges}:
            ledger.commit_batch(SequenceSet(ranges))
        case {"op": "drop", "reason": reason, "ranges": ranges}:
            ledger.drop(SequenceSet(ranges), DropReason(reason))
        case {"op": "rewind", "cursor": cursor}:
            for ranges in entry.get("batches", ()):
                ledger.batches.commit(SequenceSet(ranges))
            ledger.rewind(Cursor.from_fields(cursor))
        case _:
            raise JournalError(f"{path}: unknown entry {entry!r}; a newer redline wrote it?")


def retired_groups(entries: Iterable[dict[str, Any]]) -> Iterator[GroupEntry]:
    """Every group that the lines of `retired.log` name."""
    for entry in entries:
        for sequence, group_id, trajectories in entry["groups"]:
            yield GroupEntry(
                sequence=sequence,
                group_id=group_id,
                trajectories=trajectories,
                oldest_version=-1,
            )


def read_ledger(path: Place) -> Ledger:
    """What the journals of the store at `path` tell, without writing or locking anything.

    Its groups have no entries yet. Raises `JournalError` as opening the store would.
    """
    ledger = Ledger()
    for entry in retired_groups(read_entries(path / identity.RETIRED)):
        ledger.retire(entry)
    journal = path / identity.JOURNAL
    for line in read_entries(journal):
        apply_entry(line, ledger, journal)
    return ledger


class History:
    """Journals of one store."""

    def __init__(self, path: Place, store_id: str) -> None:
        """Open both journals; raises `JournalError` when one is damaged in the middle."""
        self._store_id = store_id
        self._path = path / identity.JOURNAL
        self._journal = open_journal(self._path)
        self._retired = open_journal(path / identity.RETIRED)
        self._length = len(self._journal.entries)
        self._committed_leases: OrderedDict[str, None] = OrderedDict()

    def retired_groups(self) -> Iterator[GroupEntry]:
        """Every group that was retired."""
        return retired_groups(self._retired.entries)

    def replay(self, ledger: Ledger) -> None:
        """Bring an empty ledger to the state that the journal tells."""
        for entry in self._journal.entries:
            apply_entry(entry, ledger, self._path)
            if entry["op"] == "commit":
                self._remember(entry["lease"])
            elif entry["op"] == "rewind":
                self._committed_leases.clear()
        self.shorten(ledger)

    def shorten(self, ledger: Ledger) -> None:
        """Let one line stand for a long journal that led to this ledger.

        Not while batches are still to be lent again: the line could not tell them.
        """
        if self._length <= _SHORTEN_AT or ledger.batches.rewound:
            return
        fields = asdict(ledger.cursor(self._store_id))
        batches = [SequenceSet.of(b).ranges() for b in ledger.batches.newest(_KEPT_BATCHES)]
        self._journal.rewrite([{"op": "rewind", "cursor": fields, "batches": batches}])
        self._length = 1

    def is_committed(self, lease_id: str) -> bool:
        """Whether this lease was committed lately."""
        return lease_id in self._committed_leases

    def committed(self, lease_id: str, sequences: Sequence[int]) -> None:
        """Keep a commit."""
        ranges = SequenceSet.of(sorted(sequences)).ranges()
        self._append({"op": "commit", "lease": lease_id, "ranges": ranges})
        self._remember(lease_id)

    def dropped(self, sequences: Sequence[int], reason: DropReason) -> None:
        """Keep a drop."""
        ranges = SequenceSet.of(sorted(sequences)).ranges()
        self._append({"op": "drop", "reason": reason, "ranges": ranges})

    def rewound(self, cursor: Cursor) -> None:
        """Keep a rewind."""
        self._append({"op": "rewind", "cursor": asdict(cursor)})
        self._committed_leases.clear()

    def retired(self, entries: Sequence[GroupEntry]) -> None:
        """Keep that groups were deleted; called before their file goes."""
        groups = [[entry.sequence, entry.group_id, entry.trajectories] for entry in entries]
        self._retired.append({"op": "retire", "groups": groups})

    def close(self) -> None:
        """Close the files."""
        self._journal.close()
        self._retired.close()

    def _append(self, entry: dict[str, Any]) -> None:
        self._journal.append(entry)
        self._length += 1

    def _remember(self, lease_id: str) -> None:
        self._committed_leases[lease_id] = None
        if len(self._committed_leases) > _REMEMBERED_LEASES:
            self._committed_leases.popitem(last=False)

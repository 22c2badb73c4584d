"""The place of a training run in its store, kept by a checkpoint and rewound to by a resume."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from redline.replay.errors import StoreError
from redline.replay.records import DropReason
from redline.replay.sequences import SequenceSet


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceRange:
    """Sequence numbers `first` to `last`, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedRange:
    """Groups that were dropped instead of leased."""

    reason: DropReason
    groups: SequenceRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Which groups of a store are done with; every other one is still to be trained on."""

    store_id: str
    committed: tuple[SequenceRange, ...]
    """Disjoint and rising."""
    dropped: tuple[DroppedRange, ...]

    def done(self) -> SequenceSet:
        """Every group that is committed or dropped."""
        ranges = [*self.committed, *(entry.groups for entry in self.dropped)]
        return SequenceSet((r.first, r.last) for r in ranges)

    def to_json(self) -> str:
        """A JSON object of a few hundred bytes for the checkpoint's state file."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Cursor":
        """The inverse of `to_json`; raises `StoreError` for anything else."""
        try:
            return Cursor.from_fields(json.loads(text))
        except ValueError as error:
            raise StoreError(f"not a store cursor: {text[:80]!r} ({error})") from error

    @staticmethod
    def from_fields(fields: dict[str, Any]) -> "Cursor":
        """The cursor whose `dataclasses.asdict` is `fields`; raises `StoreError` otherwise."""
        try:
            return Cursor(
                store_id=fields["store_id"],
                committed=tuple(SequenceRange(**entry) for entry in fields["committed"]),
                dropped=tuple(
                    DroppedRange(
                        reason=DropReason(entry["reason"]), groups=SequenceRange(**entry["groups"])
                    )
                    for entry in fields["dropped"]
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"not a store cursor: {fields!r} ({error!r})") from error

"""What became of stored groups: waiting, trained on in which step, or dropped and why.

The answers are arrays, for many groups at once. Steps count the batches that the journal of the
store has as committed; those of an earlier attempt that were rewound do not count.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from redline.replay.batches import Batch
from redline.replay.catalog import GroupState
from redline.replay.history import read_ledger
from redline.replay.ledger import Ledger
from redline.replay.places import Place
from redline.replay.sequences import SequenceSet

_EVERY = 1 << 30


class GroupFates:
    """The fates of all groups of a store at one moment."""

    def __init__(self, ledger: Ledger) -> None:
        self._committed = ledger.committed
        self._dropped = ledger.dropped
        batches = ledger.batches.newest(_EVERY)
        first = _first_step(batches, len(ledger.committed))
        self._steps: dict[int, int] = {}
        if first is not None:
            self._steps = {n: first + i for i, batch in enumerate(batches) for n in batch}

    def states(self, sequences: NDArray[np.int64]) -> pa.Array:
        """`GroupState` of each group, as strings: (n,)."""
        states = np.full(len(sequences), str(GroupState.WAITING), object)
        for dropped in self._dropped.values():
            states[_within(sequences, dropped)] = str(GroupState.DROPPED)
        states[_within(sequences, self._committed)] = str(GroupState.COMMITTED)
        return pa.array(states, pa.string())

    def reasons(self, sequences: NDArray[np.int64]) -> pa.Array:
        """Why each group was dropped, null for all others: (n,)."""
        reasons = np.full(len(sequences), None, object)
        for reason, dropped in self._dropped.items():
            reasons[_within(sequences, dropped)] = str(reason)
        return pa.array(reasons, pa.string())

    def steps(self, sequences: NDArray[np.int64]) -> pa.Array:
        """The step, counted from 1, that trained on each group; null where unknown: (n,)."""
        return pa.array([self._steps.get(n) for n in sequences.tolist()], pa.int32())


def read_fates(store: Place) -> GroupFates:
    """The fates that the journals tell; raises `JournalError` when one is damaged."""
    return GroupFates(read_ledger(store))


def _first_step(batches: list[Batch], committed: int) -> int | None:
    """The step of the first batch that the journal still lists; None when nothing tells it.

    A long journal is shortened to its newest batches. As every step takes the same number of
    groups, the committed groups beyond those batches tell how many steps came before them.
    """
    before = committed - sum(map(len, batches))
    if before == 0:
        return 1
    sizes = {len(batch) for batch in batches}
    if len(sizes) != 1:
        return None
    steps, rest = divmod(before, sizes.pop())
    return steps + 1 if rest == 0 else None


def _within(sequences: NDArray[np.int64], numbers: SequenceSet) -> NDArray[np.bool_]:
    ranges: Iterable[tuple[int, int]] = numbers.ranges()
    bounds = np.array([(-1, -1), *ranges], np.int64)  # the first entry is below every number
    place = np.searchsorted(bounds[:, 0], sequences, side="right") - 1
    return (place > 0) & (sequences <= bounds[place, 1])

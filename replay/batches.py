"""The batches that were committed, in their order, so that a rewound run trains the same again.

Groups that arrived after a batch was lent may rank before its groups; without this record, a
resumed run would pick other batches than the run that crashed did.
"""

from collections.abc import Callable, Iterable

_REMEMBERED = 4_096

Batch = tuple[int, ...]
"""Sequence numbers of the groups of one commit, rising."""


class BatchLog:
    """Committed batches; those after `position` were rewound and are to be lent again."""

    __slots__ = ("_batches", "_position")

    def __init__(self) -> None:
        self._batches: list[Batch] = []
        self._position = 0

    def commit(self, sequences: Iterable[int]) -> None:
        """A batch was trained on; rewound ones that share a group with it can't be lent again."""
        batch = tuple(sorted(sequences))
        taken = set(batch)
        ahead = [b for b in self._batches[self._position :] if taken.isdisjoint(b)]
        self._batches[self._position :] = [batch, *ahead]
        self._position += 1
        if self._position > 2 * _REMEMBERED:
            del self._batches[:_REMEMBERED]
            self._position -= _REMEMBERED

    def rewind(self, is_committed: Callable[[int], bool]) -> None:
        """Go back to behind the last of the leading batches that are committed."""
        self._position = next(
            (i for i, batch in enumerate(self._batches) if not all(map(is_committed, batch))),
            len(self._batches),
        )

    def again(
        self, count: int, may_lend: Callable[[int], bool], *, extended: bool = False
    ) -> Batch:
        """The first rewound batch of `count` groups that may all be lent, or an empty one.

        With `extended`, one of more groups will do.
        """
        for batch in self._batches[self._position :]:
            fits = len(batch) >= count if extended else len(batch) == count
            if fits and all(map(may_lend, batch)):
                return batch
        return ()

    @property
    def rewound(self) -> bool:
        """Whether there are batches to be lent again."""
        return self._position < len(self._batches)

    def newest(self, count: int) -> list[Batch]:
        """The `count` newest batches that are committed, oldest first."""
        return self._batches[max(0, self._position - count) : self._position]

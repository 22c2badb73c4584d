"""Which task each group works on: a seeded shuffle of the tasks, anew in every epoch.

The order is a function of the group's number alone, so a resumed run needs no more than the
numbers that are already stored: a group that was in flight at a crash is simply asked for again,
however long it takes.
"""

import random
from collections.abc import Iterator, Sequence, Set
from functools import lru_cache

from redline.dsl.tasks import RepairTask


def group_id(number: int) -> str:
    """The id of the group with this number; ids sort as numbers do."""
    return f"g{number:08d}"


class TaskOrder:
    """The endless sequence of tasks of one run."""

    def __init__(self, tasks: Sequence[RepairTask], seed: int) -> None:
        if not tasks:
            raise ValueError("a run needs at least one task, got none")
        self._tasks = tasks
        self._seed = seed
        self._epoch = lru_cache(maxsize=2)(self._shuffle)

    def task(self, number: int) -> RepairTask:
        """The task of the group with this number, counted from 0."""
        epoch, position = divmod(number, len(self._tasks))
        return self._tasks[self._epoch(epoch)[position]]

    def numbers(self, stored: Set[str]) -> Iterator[int]:
        """Numbers of all groups that are not stored yet, ascending, without end."""
        number = 0
        while True:
            if group_id(number) not in stored:
                yield number
            number += 1

    def _shuffle(self, epoch: int) -> list[int]:
        order = list(range(len(self._tasks)))
        random.Random(f"{self._seed}/{epoch}").shuffle(order)
        return order

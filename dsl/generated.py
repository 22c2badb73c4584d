"""Tasks with the known way to their reference, and how a list of them is filled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from redline.dsl.commands import Command
from redline.dsl.corruption import EditKind
from redline.dsl.tasks import RepairTask

MAX_ROUNDS = 20
"""Batches until every task has a broken program that fails and was not there before."""

Seen: TypeAlias = set[tuple[str | None, str]]
"""Pairs of reference and broken program that were drawn."""


class BatchJudge(Protocol):
    """Runs programs against the tests of their tasks, in a sandbox."""

    def __call__(self, tasks: Sequence[RepairTask], programs: Sequence[str]) -> list[bool]:
        """Whether all tests of `tasks[i]` pass with `programs[i]`, for each i."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedTask:
    """A task with the known way to its reference."""

    task: RepairTask
    repair: tuple[Command, ...]
    """Applied in order to the broken program, gives the reference; without EXIT."""
    kinds: tuple[EditKind, ...] = ()
    """Kinds of the edits in the order in which they broke the reference."""


def fill_slots(
    count: int, draw: Callable[[int, int, Seen], GeneratedTask | None], judge: BatchJudge
) -> list[GeneratedTask]:
    """Up to `count` tasks whose broken programs fail; fewer if some slots stay empty.

    `draw(slot, round, seen)` gives a candidate for a place of the answer that is none of `seen`,
    or None. Those of a round are judged in one batch.
    """
    done: dict[int, GeneratedTask] = {}
    seen: Seen = set()
    for attempt in range(MAX_ROUNDS):
        open_slots = [slot for slot in range(count) if slot not in done]
        if not open_slots:
            break
        drawn = [(slot, draw(slot, attempt, seen)) for slot in open_slots]
        fresh = [(slot, made) for slot, made in drawn if made is not None]
        tasks = [made.task for _, made in fresh]
        passed = judge(tasks, [task.broken for task in tasks]) if tasks else []
        done |= {slot: m for (slot, m), ok in zip(fresh, passed, strict=True) if not ok}
    return [done[slot] for slot in sorted(done)]

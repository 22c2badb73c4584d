"""Makes repair tasks from references of task files: each broken by random edits.

The lines and words that the edits bring in come from the other references of the same set, so a
set of training tasks never meets a line of a test program.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from redline.dsl.corruption import CorruptionError, corrupt
from redline.dsl.editor import apply
from redline.dsl.endless import may_run_forever
from redline.dsl.generated import BatchJudge, GeneratedTask, Seen, fill_slots
from redline.dsl.generator import GenerationError, checked_edits
from redline.dsl.settings import CorruptionSettings
from redline.dsl.tasks import RepairTask

_DONORS_PER_DRAW = 8
_MAX_DRAWS = 50


class ReferenceCorruptor:
    """Draws broken versions of the references of one set of tasks."""

    def __init__(
        self,
        tasks: Sequence[RepairTask],
        edits: tuple[int, int] = (1, 5),
        settings: CorruptionSettings | None = None,
    ) -> None:
        """`edits` bounds the number of random edits; raises ValueError if it makes no sense."""
        self._edits = checked_edits(edits)
        self._settings = settings or CorruptionSettings()
        self._programs = list(dict.fromkeys(task.reference for task in tasks if task.reference))

    def draw(self, task: RepairTask, rng: Random) -> GeneratedTask | None:
        """Break the reference of `task` once; None if this draw is of no use.

        That is so when it may run forever, there or on its way back, or when the edits drawn do
        not fit the program.
        """
        reference = task.reference or ""
        donors = rng.sample(self._programs, min(_DONORS_PER_DRAW, len(self._programs)))
        donors = [donor for donor in donors if donor != reference] or [reference]
        try:
            made = corrupt(reference, rng, rng.randint(*self._edits), donors, self._settings)
        except CorruptionError:
            return None
        program: object = made.broken
        for command in made.repair:
            if not isinstance(program, str) or may_run_forever(program, reference):
                return None
            program = apply(program, command)
        broken = replace(task, broken=made.broken)
        return GeneratedTask(task=broken, repair=made.repair, kinds=made.kinds)


def corrupt_references(
    tasks: Sequence[RepairTask],
    *,
    count: int,
    seed: int,
    edits: tuple[int, int] = (1, 5),
    judge: BatchJudge,
    settings: CorruptionSettings | None = None,
) -> list[GeneratedTask]:
    """Make `count` different tasks whose broken programs fail, spread evenly over the references.

    Raises GenerationError when the references do not give that many.
    """
    corruptor = ReferenceCorruptor(tasks, edits, settings)
    exhausted: set[str] = set()

    def draw(slot: int, attempt: int, seen: Seen) -> GeneratedTask | None:
        # A reference that gives no more leaves its places to the ones after it.
        task = tasks[(slot + attempt) % len(tasks)]
        if task.task_id in exhausted:
            return None
        rng = Random(f"{task.task_id}:{seed}:{slot}:{attempt}")
        for _ in range(_MAX_DRAWS):
            made = corruptor.draw(task, rng)
            if made is None or (pair := (made.task.reference, made.task.broken)) in seen:
                continue
            seen.add(pair)
            name = f"{task.task_id}#{slot}"
            return replace(made, task=replace(made.task, task_id=name))
        exhausted.add(task.task_id)
        return None

    made = fill_slots(count, draw, judge)
    if len(made) < count:
        raise GenerationError(
            f"{count} different tasks from {len(tasks)} references with seed {seed}: got "
            f"{len(made)}; ask for fewer, or for more edits"
        )
    return made

"""Makes the demonstrations of one task: drawn or derived, executed step by step, verified."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from redline.cluster.demos.feedback import ProgramFeedback, Told
from redline.cluster.demos.made import Encode, MadeDemonstration
from redline.cluster.demos.plan import DIFF, DemoPlan
from redline.cluster.demos.statistics import DemoCounts
from redline.dsl.commands import Exit
from redline.dsl.demonstrations import (
    Demonstration,
    demonstrate,
    programs_of,
    render_demonstration,
)
from redline.dsl.diff import diff
from redline.dsl.edit_distance import edit_distance
from redline.dsl.generated import GeneratedTask
from redline.dsl.reference_tasks import ReferenceCorruptor
from redline.dsl.tasks import RepairTask

_MAX_ROUNDS = 12
"""Batches for one task, before it is left with fewer demonstrations than wanted."""
_DRAWS_PER_WANTED = 5
"""Draws in one round for each demonstration still wanted: short programs give the same twice."""

USELESS, ALIKE = "may run forever or cannot be edited so", "drawn before"
PASSES, MIDWAY = "the broken program passes", "passes before the last command"
FAILS, TOO_LONG = "the last program fails", "longer than max_tokens"


class DemoMaker:
    """Makes demonstrations of the tasks of one set."""

    def __init__(
        self,
        tasks: Sequence[RepairTask],
        plan: DemoPlan,
        feedback: ProgramFeedback,
        encode: Encode | None = None,
    ) -> None:
        """`tasks` lend lines to each other; raises ValueError for a plan without sense."""
        self._plan = plan
        self._feedback = feedback
        self._encode = encode
        self._corruptor = ReferenceCorruptor(tasks, plan.edits, plan.corruption)

    async def make(self, task: RepairTask, counts: DemoCounts) -> list[MadeDemonstration]:
        """All demonstrations of a task, a function of task and plan; adds to `counts`.

        Raises InfrastructureError when the sandbox has no verdict on a program.
        """
        if self._plan.method == DIFF:
            made = await self._by_diff(task, counts)
        else:
            made = await self._by_corruption(task, counts)
        _count(made, counts)
        return made

    async def _by_diff(self, task: RepairTask, counts: DemoCounts) -> list[MadeDemonstration]:
        commands = diff(task.broken, task.reference or "")
        generated = GeneratedTask(task=task, repair=tuple(commands[:-1]))
        return await self._verified([generated], {}, counts, cut=True)

    async def _by_corruption(self, task: RepairTask, counts: DemoCounts) -> list[MadeDemonstration]:
        """Draw and execute until there are enough, or the program gives no more."""
        rng = Random(f"{self._plan.seed}:{task.task_id}")
        seen: set[str] = set()
        told: dict[str, Told] = {}
        made: list[MadeDemonstration] = []
        for _ in range(_MAX_ROUNDS):
            wanted = self._plan.per_task - len(made)
            if wanted <= 0:
                break
            drawn = self._draw(task, rng, wanted, seen, counts)
            made += await self._verified(drawn, told, counts, cut=False)
        return [_numbered(each, number) for number, each in enumerate(made)]

    def _draw(
        self, task: RepairTask, rng: Random, wanted: int, seen: set[str], counts: DemoCounts
    ) -> list[GeneratedTask]:
        """Up to `wanted` broken programs that are not among `seen`, where they are noted."""
        drawn: list[GeneratedTask] = []
        for _ in range(_DRAWS_PER_WANTED * wanted):
            if len(drawn) == wanted:
                break
            candidate = self._corruptor.draw(task, rng)
            if candidate is None:
                counts.set_aside[USELESS] += 1
            elif candidate.task.broken in seen:
                counts.set_aside[ALIKE] += 1
            else:
                seen.add(candidate.task.broken)
                drawn.append(candidate)
        return drawn

    async def _verified(
        self,
        generated: Sequence[GeneratedTask],
        told: dict[str, Told],
        counts: DemoCounts,
        *,
        cut: bool,
    ) -> list[MadeDemonstration]:
        """The demonstrations among some candidates of one task, in order.

        Feedback that is not in `told` is asked for and added there. With `cut`, a demonstration
        ends where all tests first pass instead of being set aside.
        """
        if not generated:
            return []
        demonstrations = demonstrate(generated)
        steps = [programs_of(demonstration) for demonstration in demonstrations]
        new = [program for programs in steps for program in programs if program not in told]
        told |= await self._feedback.of(generated[0].task, new, counts)
        made: list[MadeDemonstration] = []
        for candidate, demonstration, programs in zip(
            generated, demonstrations, steps, strict=True
        ):
            if cut:
                demonstration, programs = _cut(demonstration, programs, told)
            reason = self._fault(programs, told, counts)
            if reason is not None:
                counts.set_aside[reason] += 1
                continue
            finished = self._finish(candidate, demonstration, programs, told)
            if self._too_long(finished):
                counts.set_aside[TOO_LONG] += 1
            else:
                made.append(finished)
        return made

    def _fault(
        self, programs: Sequence[str], told: dict[str, Told], counts: DemoCounts
    ) -> str | None:
        """Why a demonstration cannot be used, if so."""
        if told[programs[0]].passed:
            return PASSES
        if not told[programs[-1]].passed:
            return FAILS
        if any(told[program].passed for program in programs[:-1]):
            if not self._plan.keep_passing:
                return MIDWAY
            counts.passing_midway += 1
        return None

    def _finish(
        self,
        candidate: GeneratedTask,
        demonstration: Demonstration,
        programs: Sequence[str],
        told: dict[str, Told],
    ) -> MadeDemonstration:
        """Write a demonstration that was found good."""
        texts = [told[program].text for program in programs]
        turns = render_demonstration(demonstration, programs, texts, self._plan.prompt)
        return MadeDemonstration(
            demonstration=demonstration,
            kinds=candidate.kinds,
            turns=tuple(turns),
            statuses=tuple(told[program].status for program in programs),
            edit_distance=edit_distance(programs[0], programs[-1]),
            encoded=None if self._encode is None else self._encode(turns),
        )

    def _too_long(self, made: MadeDemonstration) -> bool:
        limit = self._plan.max_tokens
        if limit is None or made.encoded is None:
            return False
        return len(made.encoded.token_ids) > limit


def _cut(
    demonstration: Demonstration, programs: list[str], told: dict[str, Told]
) -> tuple[Demonstration, list[str]]:
    """The demonstration up to the first program that passes, and its programs."""
    first = next((n for n, program in enumerate(programs) if told[program].passed), None)
    if first is None:
        return demonstration, programs
    commands = (*demonstration.commands[:first], Exit())
    return replace(demonstration, commands=commands), programs[: first + 1]


def _numbered(made: MadeDemonstration, number: int) -> MadeDemonstration:
    """The demonstration under an id of its own."""
    task = made.demonstration.task
    named = replace(task, task_id=f"{task.task_id}#{number}")
    return replace(made, demonstration=replace(made.demonstration, task=named))


def _count(made: Sequence[MadeDemonstration], counts: DemoCounts) -> None:
    for each in made:
        counts.demonstrations += 1
        counts.commands += len(each.demonstration.commands)
        counts.edit_distance += each.edit_distance
        counts.tokens += len(each.encoded.token_ids) if each.encoded else 0
        counts.kinds.update(kind.value for kind in each.kinds)
        counts.edits[str(len(each.demonstration.commands) - 1)] += 1
        counts.statuses[each.statuses[0]] += 1

"""From tasks to a file of demonstrations, in parts that survive an interruption."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redline.cluster.demos.feedback import ProgramFeedback
from redline.cluster.demos.made import Encode, MadeDemonstration
from redline.cluster.demos.maker import DemoMaker
from redline.cluster.demos.parts import DemoParts
from redline.cluster.demos.plan import DemoPlan
from redline.cluster.demos.statistics import DemoCounts, figures, report_lines
from redline.cluster.display.counting import Advance, count_progress
from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.isolation import sandbox_problem
from redline.cluster.output import say
from redline.dsl.tasks import RepairTask
from redline.sandbox.client import SandboxClient
from redline.sandbox.pool import SandboxPool
from redline.sandbox.records import InfrastructureError
from redline.sandbox.settings import limits_of

if TYPE_CHECKING:
    from redline.cluster.sandbox_fleet import RaySandboxRequest

_DEMONSTRATIONS_PER_PART = 800
_TASKS_AT_ONCE = 3
"""Tasks in work for each pool at a time, so that its fork servers always have something to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoWork:
    """What demonstrations are made of and with."""

    tasks: tuple[RepairTask, ...]
    plan: DemoPlan
    workers: int
    """Fork servers of this machine."""
    ray: "RaySandboxRequest | None" = None
    """Sandbox actors to use instead."""
    encode: Encode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Some of the tasks, whose demonstrations are written together."""

    number: int
    tasks: tuple[RepairTask, ...]


def make_demonstration_file(output: Path, work: DemoWork) -> dict[str, Any]:
    """Make the demonstrations of all tasks, write them to `output` and return the figures.

    Parts that an earlier run with the same plan and tasks left are used as they are. Raises
    UserError when there are parts of other work, and WorkFailed when the sandbox itself fails.
    """
    described = work.plan.describe(work.tasks)
    parts = DemoParts(output)
    parts.open(described)
    wanted = _split(work)
    missing = [part for part in wanted if part.number not in parts.done()]
    began = time.monotonic()
    fresh = _make(work, parts, missing) if missing else 0
    seconds = time.monotonic() - began
    counts = parts.counts(len(wanted))
    parts.join(len(wanted), described, counts)
    for line in report_lines(counts, len(work.tasks)):
        say(line)
    rate = round(fresh / seconds, 1) if fresh else None
    return figures(counts) | {"tasks": len(work.tasks), "per_second": rate}


def make_demonstrations(work: DemoWork) -> tuple[list[MadeDemonstration], DemoCounts]:
    """The same without a file: all demonstrations in the order of the tasks."""
    made: dict[int, list[MadeDemonstration]] = {}
    counts = DemoCounts()

    def keep(part: _Part, found: list[MadeDemonstration], counted: DemoCounts) -> None:
        made[part.number] = found
        counts.add(counted)

    with _counted(work, kept=0) as advance:
        _run(_Maker(work, advance, keep).make(_split(work)))
    return [each for number in sorted(made) for each in made[number]], counts


def _split(work: DemoWork) -> list[_Part]:
    """The parts of some work: the same ones for the same work."""
    size = max(1, _DEMONSTRATIONS_PER_PART // work.plan.demonstrations_per_task)
    return [
        _Part(number=number, tasks=work.tasks[start : start + size])
        for number, start in enumerate(range(0, len(work.tasks), size))
    ]


def _make(work: DemoWork, parts: DemoParts, missing: Sequence[_Part]) -> int:
    """Make the missing parts; returns the number of new demonstrations."""
    fresh = 0

    def write(part: _Part, made: list[MadeDemonstration], counts: DemoCounts) -> None:
        nonlocal fresh
        parts.write(part.number, made, counts)
        fresh += len(made)

    kept = len(work.tasks) - sum(len(part.tasks) for part in missing)
    if kept:
        say(f"{kept} of {len(work.tasks)} tasks are done already, in {parts.folder}")
    try:
        with _counted(work, kept) as advance:
            _run(_Maker(work, advance, write, kept).make(missing))
    except (KeyboardInterrupt, WorkFailed):
        say(f"what is done lies in {parts.folder}; the same command goes on from there")
        raise
    return fresh


def _counted(work: DemoWork, kept: int) -> AbstractContextManager[Advance]:
    each = work.plan.demonstrations_per_task
    total = each * len(work.tasks)
    return count_progress("demonstrations", total, "demonstrations", done=each * kept)


def _run(making: Coroutine[Any, Any, None]) -> None:
    """Run to the end; raises WorkFailed when the sandbox itself fails.

    UserError when this machine does not give the isolation that is asked for.
    """
    problem: UserError | WorkFailed | None = None
    try:
        asyncio.run(making)
    except* InfrastructureError as group:
        problem = sandbox_problem(_first(group))
    if problem is not None:
        raise problem


def _first(group: BaseExceptionGroup[InfrastructureError]) -> InfrastructureError:
    """The first error of a group, however deep."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


@asynccontextmanager
async def _sandboxes(work: DemoWork) -> AsyncIterator[tuple[SandboxClient, int]]:
    """What executes the programs, and how many pools of fork servers that are."""
    if work.ray is None:
        async with SandboxPool(work.workers, work.plan.sandbox) as pool:
            yield pool, 1
        return
    from redline.cluster.sandbox_fleet import ray_sandboxes

    async with ray_sandboxes(work.ray, work.plan.sandbox, "demos") as fleet:
        yield fleet.client, fleet.actors


class _Maker:
    """Makes parts, a few tasks at once, and hands each on when it is whole."""

    def __init__(
        self,
        work: DemoWork,
        advance: Advance,
        hand_on: Callable[[_Part, list[MadeDemonstration], DemoCounts], None],
        done: int = 0,
    ) -> None:
        self._work = work
        self._advance = advance
        self._hand_on = hand_on
        self._done = done
        self._places = asyncio.Semaphore(_TASKS_AT_ONCE)

    async def make(self, parts: Sequence[_Part]) -> None:
        """Make all parts, on fork servers of this machine or on sandbox actors."""
        work, plan = self._work, self._work.plan
        async with _sandboxes(work) as (sandbox, pools):
            self._places = asyncio.Semaphore(_TASKS_AT_ONCE * pools)
            feedback = ProgramFeedback(sandbox, limits_of(plan.sandbox), plan.prompt)
            maker = DemoMaker(work.tasks, plan, feedback, work.encode)
            try:
                async with asyncio.TaskGroup() as group:
                    for part in parts:
                        group.create_task(self._make_part(maker, part))
            finally:
                await feedback.close()

    async def _make_part(self, maker: DemoMaker, part: _Part) -> None:
        counts = DemoCounts()
        made = await asyncio.gather(*(self._make_task(maker, task, counts) for task in part.tasks))
        self._hand_on(part, [each for demonstrations in made for each in demonstrations], counts)

    async def _make_task(
        self, maker: DemoMaker, task: RepairTask, counts: DemoCounts
    ) -> list[MadeDemonstration]:
        async with self._places:
            made = await maker.make(task, counts)
        self._done += 1
        self._advance(self._done * self._work.plan.demonstrations_per_task)
        return made

"""Running an evaluation: every task through samplers, finished groups kept and not run twice."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from redline.actors.all_or_cancel import all_or_cancel
from redline.actors.settings import AnswerSettings, SamplingSettings
from redline.dsl.tasks import RepairTask
from redline.replay.records import Trajectory, TrajectoryGroup


class GroupSampler(Protocol):
    """A sampler or a handle that looks like one."""

    async def sample_group(
        self,
        task: RepairTask,
        *,
        group_id: str,
        group_size: int | None = None,
        sampling: SamplingSettings | None = None,
        max_turns: int | None = None,
        answering: AnswerSettings | None = None,
    ) -> TrajectoryGroup:
        """Run some episodes of one task."""
        ...


async def evaluate(
    samplers: Sequence[GroupSampler],
    tasks: Sequence[RepairTask],
    *,
    name: str,
    samples: int,
    sampling: SamplingSettings,
    max_turns: int,
    answering: AnswerSettings | None = None,
    groups_at_once: int = 128,
    known: Mapping[str, TrajectoryGroup] | None = None,
    keep: Callable[[TrajectoryGroup], object] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Trajectory]:
    """Run `samples` episodes of every task; trajectories in the order of the tasks.

    Every sampler works on up to `groups_at_once` tasks at a time, taking the next one when it is
    done. Group i is called `name/i`; one that is in `known` is not run again, and `keep` is given
    each that was run. `progress` is told tasks done and tasks in all. Raises what a sampler raises.
    """
    found = known or {}
    results = {i: found[f"{name}/{i}"] for i in range(len(tasks)) if f"{name}/{i}" in found}
    waiting = ((i, task) for i, task in enumerate(tasks) if i not in results)

    async def work(sampler: GroupSampler) -> None:
        for number, task in waiting:
            results[number] = await sampler.sample_group(
                task,
                group_id=f"{name}/{number}",
                group_size=samples,
                sampling=sampling,
                max_turns=max_turns,
                answering=answering,
            )
            if keep is not None:
                keep(results[number])
            if progress is not None:
                progress(len(results), len(tasks))

    await all_or_cancel([work(sampler) for _ in range(groups_at_once) for sampler in samplers])
    return [t for number in range(len(tasks)) for t in results[number].trajectories]

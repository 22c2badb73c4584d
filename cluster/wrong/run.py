"""`redline tasks wrong` as a whole: samplers, all tasks, a task file."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from redline.actors.all_or_cancel import all_or_cancel
from redline.actors.evaluation import GroupSampler
from redline.actors.settings import AnswerSettings
from redline.cluster.display.counting import count_progress
from redline.cluster.display.progress import LineProgress, Progress
from redline.cluster.errors import WorkFailed, one_line
from redline.cluster.isolation import sandbox_problem
from redline.cluster.local_engine import started
from redline.cluster.output import say
from redline.cluster.sampler_kinds import sampler_kinds
from redline.cluster.wrong.journal import WrongJournal
from redline.cluster.wrong.request import WrongRequest, WrongWork, prepare
from redline.cluster.wrong.sifting import Sifted, sift
from redline.cluster.wrong.statistics import WrongCounts, figures, report_lines
from redline.dsl.few_shot import render_few_shot
from redline.dsl.task_files import TaskFileError, write_tasks
from redline.dsl.tasks import RepairTask
from redline.sandbox.pool import SandboxPool
from redline.sandbox.records import InfrastructureError


def make_wrong_programs(output: Path, asked: WrongRequest) -> dict[str, Any]:
    """Sample, judge and write the task file; returns the figures.

    Tasks that an earlier run with the same options finished are used as they are. Raises
    UserError for input that cannot work, WorkFailed when nothing wrong was sampled or the engine
    or the sandbox fails.
    """
    work = prepare(asked)
    with WrongJournal(output, work.describe()) as journal:
        left = [task for task in work.tasks if task.task_id not in journal.done]
        if len(left) < len(work.tasks):
            say(f"{len(work.tasks) - len(left)} of {len(work.tasks)} tasks are done already")
        if left:
            _sample(work, left, journal)
        done = [journal.done[task.task_id] for task in work.tasks]
        counts = _summed(done)
        for line in report_lines(counts):
            say(line)
        if counts.kept == 0:
            raise WorkFailed(
                f"none of {counts.samples} samples is a wrong program to keep (what they are is in "
                f"the lines above and in {journal.path}); raise --samples or --temperature"
            )
        try:
            write_tasks(output, [task for sifted in done for task in sifted.wrong])
        except TaskFileError as error:
            raise WorkFailed(one_line(error)) from error
        journal.remove()
    return figures(counts)


async def sample_all(
    sampler: GroupSampler,
    work: WrongWork,
    tasks: Sequence[RepairTask],
    keep: Callable[[Sifted], object],
) -> None:
    """Sample programs for each task, a few tasks at once; raises what the sampler raises."""
    waiting = iter(tasks)
    asked, config = work.asked, work.config
    rollouts = [kind.config.rollout for kind in sampler_kinds(config)]
    places = sum(each.samplers * each.engine.max_num_seqs for each in rollouts)
    at_once = -(-places // asked.samples) + 1

    async def work_off() -> None:
        for task in waiting:
            request = render_few_shot(task, work.examples_for(task))
            group = await sampler.sample_group(
                task,
                group_id=f"wrong/{task.task_id}",
                group_size=asked.samples,
                sampling=asked.sampling,
                answering=AnswerSettings(answer_tokens=asked.max_tokens, request=request),
            )
            keep(
                sift(
                    task,
                    group,
                    model_name=work.model_name,
                    keep_unfinished=asked.keep_unfinished,
                )
            )

    await all_or_cancel([work_off() for _ in range(at_once)])


def _sample(work: WrongWork, left: Sequence[RepairTask], journal: WrongJournal) -> None:
    try:
        asyncio.run(_with_samplers(work, left, journal))
    except InfrastructureError as error:
        raise sandbox_problem(error) from error
    except (KeyboardInterrupt, WorkFailed):
        say(f"what is done lies in {journal.path}; the same command goes on from there")
        raise


async def _with_samplers(
    work: WrongWork, left: Sequence[RepairTask], journal: WrongJournal
) -> None:
    samples = work.asked.samples

    async def sample(sampler: GroupSampler) -> None:
        total, done = samples * len(work.tasks), samples * len(journal.done)
        with count_progress("wrong programs", total, "samples", done=done) as advance:

            def keep(sifted: Sifted) -> None:
                journal.keep(sifted)
                advance(samples * len(journal.done))

            await sample_all(sampler, work, left, keep)

    with closing(LineProgress()) as progress:
        if work.asked.ray is None:
            await _on_local_engine(work, progress, sample)
        else:
            from redline.cluster.sampler_fleet import on_ray_samplers

            await on_ray_samplers(work.config, model=work.model, progress=progress, work=sample)


async def _on_local_engine(
    work: WrongWork, progress: Progress, sample: Callable[[GroupSampler], Awaitable[None]]
) -> None:
    config = work.config
    async with (
        SandboxPool(config.sandbox.workers_per_actor, config.sandbox) as pool,
        started(work.model, config, pool, progress, name="wrong") as sampler,
    ):
        await sample(sampler)


def _summed(done: Sequence[Sifted]) -> WrongCounts:
    summed = WrongCounts()
    for sifted in done:
        summed.add(sifted.counts)
    return summed

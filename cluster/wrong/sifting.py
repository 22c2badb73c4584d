"""The wrong programs among a model's samples for one task, each once, as repair tasks."""

from dataclasses import dataclass, replace
from hashlib import blake2b

from redline.cluster.program_status import status_of
from redline.cluster.wrong.statistics import (
    ABORTED,
    EMPTY,
    PASSING,
    REPEATED,
    TOO_LONG,
    UNFINISHED,
    WrongCounts,
)
from redline.dsl.edit_distance import edit_distance
from redline.dsl.readers.tidy import tidy_program
from redline.dsl.tasks import RepairTask
from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """What one task gave."""

    task_id: str
    """Of the task that was sampled."""
    wrong: tuple[RepairTask, ...]
    counts: WrongCounts


def sift(
    task: RepairTask, group: TrajectoryGroup, *, model_name: str, keep_unfinished: bool
) -> Sifted:
    """Keep each failing program once, with the task's tests, reference and split.

    A program that the token limit cut off says more of the limit than of the model: it is left out
    unless `keep_unfinished`.
    """
    counts = WrongCounts(tasks=1, samples=len(group.trajectories))
    seen: set[str] = set()
    wrong: list[RepairTask] = []
    for trajectory in group.trajectories:
        counts.tokens += sum(len(turn.action_token_ids) for turn in trajectory.turns)
        program = trajectory.turns[-1].program if trajectory.turns else ""
        reason = _fault(trajectory, program, seen, keep_unfinished)
        if reason is not None:
            counts.dropped[reason] += 1
            continue
        made = _as_task(task, _spelled(program), model_name)
        seen.add(made.broken)
        wrong.append(made)
        counts.statuses[_status(trajectory)] += 1
        if task.reference is not None:
            counts.with_reference += 1
            counts.edit_distance += edit_distance(made.broken, task.reference)
    counts.kept = len(wrong)
    counts.tasks_with_wrong = int(bool(wrong))
    return Sifted(task_id=task.task_id, wrong=tuple(wrong), counts=counts)


def _fault(
    trajectory: Trajectory, program: str, seen: set[str], keep_unfinished: bool
) -> str | None:
    """Why a sample is not kept, if so."""
    if trajectory.status is TrajectoryStatus.ABORTED:
        return ABORTED
    if not trajectory.turns:
        return TOO_LONG
    verdict = trajectory.turns[-1].verdict
    if verdict is None:
        raise ValueError(f"sample {trajectory.trajectory_id}: expected a judged program")
    if verdict.passed:
        return PASSING
    if trajectory.status is TrajectoryStatus.TRUNCATED and not keep_unfinished:
        return UNFINISHED
    if not program.strip():
        return EMPTY
    return REPEATED if _spelled(program) in seen else None


def _status(trajectory: Trajectory) -> str:
    last = trajectory.turns[-1]
    if last.verdict is None:
        raise ValueError(f"sample {trajectory.trajectory_id}: expected a judged program")
    return status_of(last.program, last.verdict)


def _spelled(program: str) -> str:
    """A program as it is written into a task file: as the readers of published programs do."""
    return tidy_program(program)


def _as_task(task: RepairTask, broken: str, model_name: str) -> RepairTask:
    digest = blake2b(broken.encode(), digest_size=4).hexdigest()
    return replace(
        task,
        task_id=f"{task.task_id}/{model_name}/{digest}",
        broken=broken,
        source=f"wrong/{model_name}",
    )

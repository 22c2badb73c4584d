"""The tasks of a run: read from files, or generated once and kept in the run directory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from redline.cluster.checks.references import drop_failing_references
from redline.cluster.config import TaskSettings
from redline.cluster.errors import UserError, one_line
from redline.dsl.generated import BatchJudge, GeneratedTask
from redline.dsl.generator import generate_tasks
from redline.dsl.reference_tasks import corrupt_references
from redline.dsl.splits import (
    HELDOUT,
    HELDOUT_FAMILY,
    TRAIN,
    SplitError,
    tasks_to_evaluate_on,
    tasks_to_train_on,
)
from redline.dsl.task_files import TaskFile, TaskFileError, read_task_file, write_tasks
from redline.dsl.tasks import RepairTask


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSupply:
    """What a run trains and is evaluated on."""

    train: tuple[RepairTask, ...]
    heldout: tuple[RepairTask, ...]


def check_task_files(settings: TaskSettings) -> None:
    """Read the configured task files, so that a fault in them is told before anything starts.

    UserError also for tasks to train on that are of an evaluation split.
    """
    if settings.train_file is not None:
        read_train_tasks(settings)
    if settings.heldout_file is not None:
        read_heldout_tasks(settings)


def read_user_tasks(path: str | Path) -> list[RepairTask]:
    """Tasks of a user's file; UserError names file, line and field of a fault."""
    return list(read_user_file(path).tasks)


def read_user_file(path: str | Path) -> TaskFile:
    """The same with the format that the file has."""
    try:
        return read_task_file(path)
    except TaskFileError as error:
        raise UserError(one_line(error)) from error


def read_train_tasks(settings: TaskSettings) -> TaskFile:
    """The tasks of `train_file` that may be trained on; UserError if there are none."""
    return _chosen(settings.train_file, settings.train_split, tasks_to_train_on)


def read_heldout_tasks(settings: TaskSettings) -> TaskFile:
    """The tasks of `heldout_file` to evaluate on; UserError if there are none."""
    return _chosen(settings.heldout_file, settings.heldout_split, tasks_to_evaluate_on)


def supply_tasks(settings: TaskSettings, folder: Path, judge: BatchJudge) -> TaskSupply:
    """All tasks of a run, kept in `folder` and found there on resume.

    Those of files are cleared of references that fail; UserError as the settings ask for.
    """

    def obtain(name: str, make: Callable[[], list[RepairTask]]) -> tuple[RepairTask, ...]:
        kept = folder / name
        if kept.is_file():
            return tuple(read_user_tasks(kept))
        tasks = make()
        folder.mkdir(parents=True, exist_ok=True)
        write_tasks(kept, tasks)
        return tuple(tasks)

    return TaskSupply(
        train=obtain("train.jsonl", lambda: _train_tasks(settings, judge)),
        heldout=obtain("heldout.jsonl", lambda: supply_heldout(settings, judge)),
    )


def supply_heldout(settings: TaskSettings, judge: BatchJudge) -> list[RepairTask]:
    """The held-out tasks by themselves: of the configured file, or generated."""
    if settings.heldout_file is None:
        return [made.task for made in generate(heldout_parts(settings), settings, judge)]
    file = read_heldout_tasks(settings)
    return _repairable(file, settings, settings.heldout_file, settings.heldout_count, judge)


def _train_tasks(settings: TaskSettings, judge: BatchJudge) -> list[RepairTask]:
    if settings.train_file is None:
        parts = [(TRAIN, settings.train_count)]
        return [made.task for made in generate(parts, settings, judge)]
    file = read_train_tasks(settings)
    return _repairable(file, settings, settings.train_file, settings.train_count, judge)


def _repairable(
    file: TaskFile, settings: TaskSettings, origin: str, count: int, judge: BatchJudge
) -> list[RepairTask]:
    """The sound tasks of a file; of references alone, `count` tasks made by random edits."""
    tasks = drop_failing_references(file.tasks, judge, origin=origin, strict=settings.strict)
    if not file.format.references_only:
        return tasks
    try:
        made = corrupt_references(
            tasks,
            count=count,
            seed=settings.seed,
            edits=(settings.edits_min, settings.edits_max),
            judge=judge,
            settings=settings.corruption,
        )
    except ValueError as error:  # GenerationError, or arguments that it refuses
        raise UserError(f"{origin}: {one_line(error)}") from error
    return [each.task for each in made]


def _chosen(
    path: str | None, split: str | None, choose: Callable[..., list[RepairTask]]
) -> TaskFile:
    if path is None:
        raise ValueError("no file is configured")
    file = read_user_file(path)
    try:
        return replace(file, tasks=tuple(choose(file.tasks, split)))
    except SplitError as error:
        raise UserError(f"{path}: {error}") from error


def heldout_parts(settings: TaskSettings) -> list[tuple[str, int]]:
    """Splits and counts of the generated held-out tasks."""
    return [(HELDOUT, settings.heldout_count), (HELDOUT_FAMILY, settings.heldout_family_count)]


def generate(
    parts: Sequence[tuple[str, int]], settings: TaskSettings, judge: BatchJudge
) -> list[GeneratedTask]:
    """Built-in tasks of several splits, each given by its name and count."""
    made: list[GeneratedTask] = []
    for split, count in parts:
        try:
            made += generate_tasks(
                count=count,
                seed=settings.seed,
                split=split,
                edits=(settings.edits_min, settings.edits_max),
                families=_families(settings, split),
                judge=judge,
                settings=settings.corruption,
            )
        except ValueError as error:  # GenerationError, or arguments that it refuses
            raise UserError(f"tasks: {one_line(error)}") from error
    return made


def _families(settings: TaskSettings, split: str) -> list[str] | None:
    """Families to draw from; the held-out ones are never restricted."""
    return settings.families or None if split != HELDOUT_FAMILY else None

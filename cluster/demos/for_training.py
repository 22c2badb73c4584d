"""The demonstrations that a supervised warm start learns from: of a file, or made for it."""

from collections.abc import Sequence
from pathlib import Path

from redline.cluster.checks.references import drop_failing_references
from redline.cluster.config import SftConfig
from redline.cluster.demonstrations import make_demonstrations, remembered_feedback
from redline.cluster.demos.plan import CORRUPTION, DIFF, DemoPlan
from redline.cluster.demos.reading import read_demonstrations
from redline.cluster.demos.run import DemoWork
from redline.cluster.demos.run import make_demonstrations as make_from_tasks
from redline.cluster.errors import UserError
from redline.cluster.judging import LocalJudge, local_workers
from redline.cluster.task_supply import generate, read_train_tasks
from redline.dsl.demonstrations import RenderedTurn
from redline.dsl.splits import TRAIN


def check_demonstrations(config: SftConfig) -> None:
    """UserError when what is configured cannot be trained on; executes nothing."""
    if config.demonstrations is not None and config.tasks.train_file is not None:
        raise UserError(
            "demonstrations and tasks.train_file are both set: give one of them, a file of "
            "`redline tasks demos` or one of tasks"
        )
    if config.demonstrations is not None:
        read_demonstrations(Path(config.demonstrations))
    elif config.tasks.train_file is not None:
        read_train_tasks(config.tasks)


def demonstrations_for(config: SftConfig) -> Sequence[Sequence[RenderedTurn]]:
    """The turns of all demonstrations; UserError when the input cannot work."""
    if config.demonstrations is not None:
        return read_demonstrations(Path(config.demonstrations))
    if config.tasks.train_file is not None:
        return _from_file(config)
    feedback = remembered_feedback(config.prompt, config.sandbox)
    made = generate([(TRAIN, config.tasks.train_count)], config.tasks, feedback.judge)
    return make_demonstrations(made, config.prompt, feedback)


def _from_file(config: SftConfig) -> list[list[RenderedTurn]]:
    """At most `train_count` demonstrations of the references, or one for each broken program."""
    settings = config.tasks
    file = read_train_tasks(settings)
    with_reference = [task for task in file.tasks if task.reference is not None]
    if not with_reference:
        raise UserError(f"{settings.train_file}: no task has a reference to learn from")
    tasks = drop_failing_references(
        with_reference,
        LocalJudge(config.sandbox),
        origin=settings.train_file or "",
        strict=settings.strict,
    )
    plan = DemoPlan(
        method=CORRUPTION if file.format.references_only else DIFF,
        per_task=-(-settings.train_count // len(tasks)),
        edits=(settings.edits_min, settings.edits_max),
        seed=settings.seed,
        corruption=settings.corruption,
        prompt=config.prompt,
        sandbox=config.sandbox,
    )
    made, _ = make_from_tasks(DemoWork(tasks=tuple(tasks), plan=plan, workers=local_workers()))
    if not made:
        raise UserError(f"{settings.train_file}: its {len(tasks)} tasks gave no demonstration")
    return [list(each.turns) for each in made[: settings.train_count]]

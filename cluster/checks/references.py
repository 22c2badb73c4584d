"""References of task files are run before anything is built on them: some fail their own tests."""

from collections.abc import Sequence

from redline.cluster.errors import UserError
from redline.cluster.output import say
from redline.dsl.generated import BatchJudge
from redline.dsl.tasks import RepairTask

_SHOWN = 20


def drop_failing_references(
    tasks: Sequence[RepairTask], judge: BatchJudge, *, origin: str, strict: bool
) -> list[RepairTask]:
    """The tasks without those whose reference fails its tests; each of these is named on stderr.

    Tasks without a reference are kept. Raises UserError when one fails and `strict` is set, and
    when none is left.
    """
    checked = [task for task in tasks if task.reference is not None]
    passed = judge(checked, [task.reference or "" for task in checked]) if checked else []
    failing = {task.task_id for task, ok in zip(checked, passed, strict=True) if not ok}
    if not failing:
        return list(tasks)
    if strict:
        raise UserError(
            f"{origin}: the references of {len(failing)} of {len(checked)} tasks fail their tests "
            f"({_listed(sorted(failing))}); mend or remove them, or do without strict"
        )
    if len(failing) == len(tasks):
        raise UserError(
            f"{origin}: the references of all {len(tasks)} tasks fail their tests; check the "
            "tests, and what the sandbox lets a program import"
        )
    for name in sorted(failing)[:_SHOWN]:
        say(f"task {name} dropped: its reference fails its tests")
    say(f"{origin}: {len(failing)} of {len(checked)} references fail their tests and are dropped")
    return [task for task in tasks if task.task_id not in failing]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")

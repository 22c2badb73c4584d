"""Feedback that is asked once for each program, since every question is an execution."""

from collections.abc import Sequence

from redline.dsl.demonstrations import FeedbackFn
from redline.dsl.tasks import RepairTask


class RememberedFeedback:
    """A `FeedbackFn` with a memory, and the `BatchJudge` that follows from it.

    A broken program that was judged while tasks were made is then not run again to write its
    demonstration. With `trust_references`, references of built-in tasks are not run at all: the
    expected values of their tests were computed with them.
    """

    def __init__(self, ask: FeedbackFn, *, trust_references: bool = True) -> None:
        self._ask = ask
        self._trust_references = trust_references
        self._known: dict[tuple[str, tuple[str, ...], str], str] = {}

    def __call__(self, asked: Sequence[tuple[RepairTask, str]]) -> list[str]:
        """Feedback on each program; only those never seen before are asked for, in one call."""
        new = {
            self._key(task, program): (task, program)
            for task, program in asked
            if self._key(task, program) not in self._known and not self._is_trusted(task, program)
        }
        if new:
            answers = self._ask(list(new.values()))
            self._known |= dict(zip(new, answers, strict=True))
        return [self._known.get(self._key(task, program), "") for task, program in asked]

    def judge(self, tasks: Sequence[RepairTask], programs: Sequence[str]) -> list[bool]:
        """Whether each program passes, which is when there is no feedback on it."""
        return [not told for told in self(list(zip(tasks, programs, strict=True)))]

    @staticmethod
    def _key(task: RepairTask, program: str) -> tuple[str, tuple[str, ...], str]:
        return task.setup, task.tests, program

    def _is_trusted(self, task: RepairTask, program: str) -> bool:
        builtin = task.source.startswith("builtin/")
        return self._trust_references and builtin and program == task.reference

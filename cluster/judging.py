"""Judging many programs at once from the command line, with sandboxes of this machine."""

import os
from collections.abc import Callable, Sequence

from redline.actors.judging import feedback_of
from redline.cluster.isolation import sandbox_problem
from redline.dsl.settings import PromptSettings
from redline.dsl.tasks import RepairTask
from redline.sandbox.records import InfrastructureError, Verdict
from redline.sandbox.settings import SandboxSettings, limits_of

Progress = Callable[[int], None]
"""Told how many executions are done."""


class LocalJudge:
    """Runs programs against the tests of their tasks; a `BatchJudge` of the task generator."""

    def __init__(self, settings: SandboxSettings, progress: Progress | None = None) -> None:
        self._settings = settings
        self._progress = progress

    def __call__(self, tasks: Sequence[RepairTask], programs: Sequence[str]) -> list[bool]:
        """Whether all tests of `tasks[i]` pass with `programs[i]`, for each i."""
        return [verdict.passed for verdict in self.verdicts(tasks, programs)]

    def verdicts(self, tasks: Sequence[RepairTask], programs: Sequence[str]) -> list[Verdict]:
        """One verdict per program, up to its first failing test.

        Raises WorkFailed when the sandbox itself fails, and UserError when this machine does not
        give the isolation that is asked for.
        """
        from redline.sandbox.blocking import run_all
        from redline.sandbox.task_runner import request_for

        limits = limits_of(self._settings)
        requests = [
            request_for(task, program, limits, stop_at_failure=True)
            for task, program in zip(tasks, programs, strict=True)
        ]
        try:
            return run_all(requests, local_workers(), self._progress, self._settings)
        except InfrastructureError as error:
            raise sandbox_problem(error) from error


class LocalFeedback:
    """What the policy would be shown after each program; a `FeedbackFn` of demonstrations."""

    def __init__(self, judge: LocalJudge, settings: PromptSettings) -> None:
        self._judge = judge
        self._settings = settings

    def __call__(self, asked: Sequence[tuple[RepairTask, str]]) -> list[str]:
        """Feedback on each program against the tests of its task."""
        tasks, programs = [task for task, _ in asked], [program for _, program in asked]
        verdicts = self._judge.verdicts(tasks, programs)
        return [feedback_of(verdict, self._settings) for verdict in verdicts]


def local_workers() -> int:
    """Fork servers for command-line use: one per CPU that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))

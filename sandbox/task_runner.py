"""Repair tasks in the sandbox: requests for them, a judge for the generator, a check of a file."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from redline.dsl.tasks import RepairTask
from redline.sandbox.blocking import BlockingSandbox
from redline.sandbox.records import ExecutionRequest, InfrastructureError, Limits, Verdict
from redline.sandbox.settings import SandboxSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure:
    """A program of a task that did not do what it should."""

    task_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCheck:
    """Whether the broken programs of tasks fail and their references pass."""

    tasks: int
    broken_failing: int
    references_passing: int
    references: int
    """Tasks that have a reference."""
    infrastructure_errors: int
    seconds: float
    failures: tuple[TaskFailure, ...]
    """One for each broken program that passes and each reference that fails, in task order."""


def request_for(
    task: RepairTask, program: str, limits: Limits, *, stop_at_failure: bool = False
) -> ExecutionRequest:
    """The request that runs a program against the tests of a task."""
    return ExecutionRequest(
        program=program,
        tests=task.tests,
        setup=task.setup,
        entry_point=task.entry_point,
        limits=limits,
        stop_at_failure=stop_at_failure,
    )


class SandboxJudge:
    """A `BatchJudge` on fork servers of its own, which live from `with` to the end of it."""

    def __init__(self, workers: int, limits: Limits, settings: SandboxSettings) -> None:
        self._limits = limits
        self._sandbox = BlockingSandbox(workers, settings)

    def __enter__(self) -> "SandboxJudge":
        self._sandbox.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sandbox.__exit__(kind, error, trace)

    def __call__(self, tasks: Sequence[RepairTask], programs: Sequence[str]) -> list[bool]:
        """Whether all tests of `tasks[i]` pass with `programs[i]`, for each i.

        Raises `InfrastructureError` when one of them has no verdict.
        """
        return [verdict.passed for verdict in self.verdicts(tasks, programs, stop_at_failure=True)]

    def verdicts(
        self, tasks: Sequence[RepairTask], programs: Sequence[str], *, stop_at_failure: bool = False
    ) -> list[Verdict]:
        """The same with the whole verdicts, e.g. for the feedback in demonstrations."""
        requests = [
            request_for(task, program, self._limits, stop_at_failure=stop_at_failure)
            for task, program in zip(tasks, programs, strict=True)
        ]
        verdicts = []
        for task, answer in zip(tasks, self._sandbox.run_all(requests), strict=True):
            if isinstance(answer, InfrastructureError):
                raise InfrastructureError(f"task {task.task_id}: {answer}") from answer
            verdicts.append(answer)
        return verdicts


def make_judge(
    *,
    workers: int | None = None,
    limits: Limits | None = None,
    settings: SandboxSettings | None = None,
) -> SandboxJudge:
    """A judge of programs for the task generator, to be used in a `with` statement.

    One fork server per core unless `workers` says otherwise.
    """
    return SandboxJudge(
        workers or os.cpu_count() or 1, limits or Limits(), settings or SandboxSettings()
    )


def check_tasks(
    tasks: Sequence[RepairTask],
    *,
    workers: int | None = None,
    limits: Limits | None = None,
    settings: SandboxSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TaskCheck:
    """Run broken program and reference of every task.

    `progress` is told how many of how many programs are done. Programs without a verdict are
    counted as infrastructure errors, and neither as failing nor as passing.
    """
    started = time.monotonic()
    limits = limits or Limits()
    jobs = [(task, task.broken) for task in tasks]
    jobs += [(task, task.reference) for task in tasks if task.reference is not None]
    requests = [request_for(task, program, limits) for task, program in jobs]
    with BlockingSandbox(workers or os.cpu_count() or 1, settings) as sandbox:
        answers = sandbox.run_all(
            requests, None if progress is None else lambda done: progress(done, len(requests))
        )
    broken, references = answers[: len(tasks)], answers[len(tasks) :]
    return TaskCheck(
        tasks=len(tasks),
        broken_failing=sum(_has_passed(answer) is False for answer in broken),
        references_passing=sum(_has_passed(answer) is True for answer in references),
        references=len(references),
        infrastructure_errors=sum(_has_passed(answer) is None for answer in answers),
        seconds=time.monotonic() - started,
        failures=_failures(tasks, broken, references),
    )


def _has_passed(answer: Verdict | InfrastructureError) -> bool | None:
    return None if isinstance(answer, InfrastructureError) else answer.passed


def _failures(
    tasks: Sequence[RepairTask],
    broken: Sequence[Verdict | InfrastructureError],
    references: Sequence[Verdict | InfrastructureError],
) -> tuple[TaskFailure, ...]:
    failures = [
        (index, "the broken program passes all tests")
        for index, answer in enumerate(broken)
        if _has_passed(answer)
    ]
    with_reference = [index for index, task in enumerate(tasks) if task.reference is not None]
    failures += [
        (index, f"the reference fails: {_first_failure(answer)}")
        for index, answer in zip(with_reference, references, strict=True)
        if isinstance(answer, Verdict) and not answer.passed
    ]
    return tuple(
        TaskFailure(task_id=tasks[index].task_id, reason=reason)
        for index, reason in sorted(failures)
    )


def _first_failure(verdict: Verdict) -> str:
    """The first failing test's text; a task without tests has none to pass."""
    return next((test.detail for test in verdict.tests if test.detail), "it has no tests")

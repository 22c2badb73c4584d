"""Demonstrations: how a generated task is repaired, command by command, as text to learn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redline.dsl.commands import Command, Exit
from redline.dsl.editor import apply
from redline.dsl.generated import BatchJudge, GeneratedTask
from redline.dsl.printer import print_command
from redline.dsl.prompts import render_first_state, render_state
from redline.dsl.settings import PromptSettings
from redline.dsl.tasks import RepairTask

FeedbackFn = Callable[[Sequence[tuple[RepairTask, str]]], list[str]]
"""Feedback on each program against the tests of its task; empty when all tests pass."""


class DemonstrationError(ValueError):
    """A repair does not do what a demonstration must show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A task and the commands that solve it; the last one is EXIT and no other is."""

    task: RepairTask
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedTurn:
    """One turn of a demonstration as the policy meets it."""

    state: str
    """What the policy reads; ends in the command prefix."""
    action: str
    """What it should answer, the newline included."""


def demonstrate(
    generated: Sequence[GeneratedTask], judge: BatchJudge | None = None
) -> list[Demonstration]:
    """Turn repairs into demonstrations, one for each task, in order.

    Every repair must lead to exactly the reference; with a judge, the result must also pass its
    tests there. Raises DemonstrationError naming the first task of which this does not hold.
    """
    made = [Demonstration(task=g.task, commands=(*g.repair, Exit())) for g in generated]
    finals = [programs_of(demonstration)[-1] for demonstration in made]
    for demonstration, final in zip(made, finals, strict=True):
        if final != demonstration.task.reference:
            raise DemonstrationError(
                f"task {demonstration.task.task_id}: the repair ends in {final!r}, expected the "
                f"reference {demonstration.task.reference!r}"
            )
    if judge is not None and made:
        passed = judge([demonstration.task for demonstration in made], finals)
        failing = [d.task.task_id for d, ok in zip(made, passed, strict=True) if not ok]
        if failing:
            raise DemonstrationError(
                f"{len(failing)} repaired programs fail their tests, first task {failing[0]}"
            )
    return made


def programs_of(demonstration: Demonstration) -> list[str]:
    """The program before each command; the last one is what EXIT leaves behind.

    Raises DemonstrationError if a command does not fit the program it meets.
    """
    programs = [demonstration.task.broken]
    for command in demonstration.commands[:-1]:
        following = apply(programs[-1], command)
        if not isinstance(following, str):
            raise DemonstrationError(
                f"task {demonstration.task.task_id}: {print_command(command)!r}: {following.reason}"
            )
        programs.append(following)
    return programs


def render_demonstrations(
    demonstrations: Sequence[Demonstration], feedback: FeedbackFn, settings: PromptSettings
) -> list[list[RenderedTurn]]:
    """Write each demonstration as turns; `feedback` is asked once, for all their programs."""
    programs = [programs_of(demonstration) for demonstration in demonstrations]
    asked = [
        (demonstration.task, program)
        for demonstration, steps in zip(demonstrations, programs, strict=True)
        for program in steps
    ]
    told = iter(feedback(asked) if asked else [])
    return [
        render_demonstration(demonstration, steps, [next(told) for _ in steps], settings)
        for demonstration, steps in zip(demonstrations, programs, strict=True)
    ]


def render_demonstration(
    demonstration: Demonstration,
    programs: Sequence[str],
    feedback: Sequence[str],
    settings: PromptSettings,
) -> list[RenderedTurn]:
    """Write one demonstration, given the program before each command and the feedback on it.

    The task's prompt stands in the first state only.
    """
    states = [render_first_state(demonstration.task, feedback[0], settings)]
    states += [
        render_state(program, told, settings)
        for program, told in zip(programs[1:], feedback[1:], strict=True)
    ]
    return [
        RenderedTurn(state=state, action=print_command(command) + "\n")
        for state, command in zip(states, demonstration.commands, strict=True)
    ]

"""How a task and the state of the editor are written for the policy.

    Return the sum of a and b.          task header, in the first state only
    1|def add(a, b):                    the program, each line with its number
    2|    return a - b
    ***
    add(1, 2) returned -1, expected 3   feedback; no such line when all tests pass
    ###                                 the prefix that the policy's command completes

The context only grows: each state is appended after the command that led to it.
"""

from redline.dsl.settings import PromptSettings
from redline.dsl.tasks import RepairTask

SEPARATOR = "***"
"""Stands on a line of its own between program and feedback."""


def render_first_state(task: RepairTask, feedback: str, settings: PromptSettings) -> str:
    """Write the task's prompt and the state of its broken program."""
    return f"{task.prompt.rstrip()}\n{render_state(task.broken, feedback, settings)}"


def render_state(program: str, feedback: str, settings: PromptSettings) -> str:
    """Write one state; it ends in the command prefix, without a newline."""
    numbered = "".join(f"{n}|{line}\n" for n, line in enumerate(program.split("\n"), start=1))
    shown = f"{feedback}\n" if feedback else ""
    return f"{numbered}{SEPARATOR}\n{shown}{settings.command_prefix}"

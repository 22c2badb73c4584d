"""Prompts that ask for a program by worked examples: problem, tests, program, and so on.

    You are an expert Python programmer, and here is your task: Write a function to ...
    Your code should pass these tests:
    assert ...
    ```python
    def ...                             the reference of an example
    ```

    You are an expert Python programmer, and here is your task: ...

The wording is that of MBPP's authors (Austin et al., arXiv 2108.07732), with blocks of code in the
place of their [BEGIN] and [DONE]. The reply goes on inside a block, as that of a direct answer.
"""

from collections.abc import Sequence

from redline.dsl.answers import FENCE, OPEN_BLOCK
from redline.dsl.tasks import RepairTask

_TASK = "You are an expert Python programmer, and here is your task: "
_TESTS = "Your code should pass these tests:"


def render_few_shot(task: RepairTask, examples: Sequence[RepairTask]) -> str:
    """Examples with their references, then the task; the reply goes on after `OPEN_BLOCK`.

    Raises ValueError for an example without a reference.
    """
    return "\n\n".join([*(_worked(example) for example in examples), _asked(task)])


def _worked(example: RepairTask) -> str:
    if example.reference is None:
        raise ValueError(f"example {example.task_id}: expected a task with a reference")
    return f"{_asked(example)}\n{OPEN_BLOCK}{example.reference}\n{FENCE}"


def _asked(task: RepairTask) -> str:
    return "\n".join([f"{_TASK}{task.prompt.strip()}", _TESTS, *task.tests])

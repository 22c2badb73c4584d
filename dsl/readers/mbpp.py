"""MBPP as published (Austin et al., arXiv 2108.07732): problems with a correct program and tests.

    {"task_id": 601, "text": "Write a function to ...", "code": "def f(...): ...",
     "test_list": ["assert f(1) == 2", ...], "test_setup_code": "", ...}

Its setup code uses what the program defines (tasks 367 and 927), so it is written in front of each
test instead of being run before the program. There is no broken program: `broken` is empty.
"""

from collections.abc import Mapping
from typing import Any

from redline.dsl.readers.entry_points import entry_point_of
from redline.dsl.readers.formats import Format
from redline.dsl.readers.tidy import tidy_line_ends, tidy_program
from redline.dsl.task_fields import NAME, NUMBER, TESTS, TEXT, TaskFieldError, checked
from redline.dsl.tasks import RepairTask

SPLITS = ((10, "prompt"), (510, "test"), (600, "validation"), (974, "train"))
"""Last task_id of each published split."""


def split_of(task_id: int) -> str:
    """The published split of a problem; raises TaskFieldError for a number that has none."""
    for last, name in SPLITS:
        if 1 <= task_id <= last:
            return name
    raise TaskFieldError(
        f"field 'task_id': got {task_id}, expected 1 to {SPLITS[-1][0]}, the published numbers, "
        "which tell the split; use the format of redline tasks for problems of your own"
    )


def tests_of(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The tests, each with the setup code in front."""
    setup = tidy_line_ends(checked(fields, "test_setup_code", TEXT)).strip("\n")
    tests = [tidy_line_ends(test) for test in checked(fields, "test_list", TESTS)]
    return tuple(f"{setup}\n{test}" if setup.strip() else test for test in tests)


def _read(fields: Mapping[str, Any]) -> RepairTask:
    number = checked(fields, "task_id", NUMBER)
    reference = tidy_program(checked(fields, "code", NAME))
    tests = tests_of({"test_setup_code": "", **fields})
    return RepairTask(
        task_id=f"mbpp/{number}",
        prompt=checked(fields, "text", TEXT),
        broken="",
        tests=tests,
        reference=reference,
        entry_point=entry_point_of(reference, tests),
        split=split_of(number),
        source="mbpp",
    )


MBPP = Format(
    name="MBPP problem",
    fields=("task_id", "text", "code", "test_list"),
    marks=frozenset({"code", "test_list"}),
    references_only=True,
    read=_read,
)

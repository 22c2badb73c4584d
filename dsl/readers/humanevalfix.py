"""HumanEvalFix (Muennighoff et al., arXiv 2308.07124): HumanEval programs with one bug each.

    {"task_id": "Python/0", "instruction": "Write a Python function ...", "declaration": "def ...",
     "buggy_solution": "    ...", "canonical_solution": "    ...", "test": "def check(...): ...",
     "entry_point": "f", ...}

A program is the declaration with the solution after it; the test is one snippet that calls its own
`check`. The whole set is for evaluation.
"""

from collections.abc import Mapping
from typing import Any

from redline.dsl.readers.formats import Format
from redline.dsl.readers.tidy import tidy_line_ends, tidy_program
from redline.dsl.task_fields import NAME, TEXT, checked
from redline.dsl.tasks import RepairTask


def _read(fields: Mapping[str, Any]) -> RepairTask:
    declaration = checked(fields, "declaration", TEXT)
    number = checked(fields, "task_id", NAME).rpartition("/")[2]
    prompt = "instruction" if "instruction" in fields else "text"
    return RepairTask(
        task_id=f"humanevalfix/{number}",
        prompt=tidy_line_ends(checked(fields, prompt, TEXT)),
        broken=tidy_program(declaration + checked(fields, "buggy_solution", TEXT)),
        tests=(tidy_line_ends(checked(fields, "test", NAME)).lstrip("\n"),),
        reference=tidy_program(declaration + checked(fields, "canonical_solution", NAME)),
        entry_point=checked(fields, "entry_point", NAME),
        split="test",
        source="humanevalfix",
    )


HUMANEVALFIX = Format(
    name="HumanEvalFix problem",
    fields=(
        "task_id", "declaration", "buggy_solution", "canonical_solution", "test", "entry_point",
    ),
    marks=frozenset({"buggy_solution", "canonical_solution"}),
    read=_read,
)  # fmt: skip

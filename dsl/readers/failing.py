"""Wrong programs that a model wrote for MBPP problems, with the reference beside them.

    {"task_id": 210, "model": "gpt-3.5-turbo-0613", "text": "...", "buggy_code": "...",
     "reference_code": "...", "test_list": [...], "test_setup_code": "", ...}

The split is that of the MBPP problem, so a program written for one of its test problems can never
be trained on.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from redline.dsl.readers.entry_points import entry_point_of
from redline.dsl.readers.formats import Format
from redline.dsl.readers.mbpp import split_of, tests_of
from redline.dsl.readers.tidy import tidy_program
from redline.dsl.task_fields import NAME, NUMBER, TEXT, checked
from redline.dsl.tasks import RepairTask


def _read(fields: Mapping[str, Any]) -> RepairTask:
    number = checked(fields, "task_id", NUMBER)
    model = checked({"model": "unknown", **fields}, "model", NAME)
    broken = checked(fields, "buggy_code", TEXT)
    reference = tidy_program(checked(fields, "reference_code", NAME))
    tests = tests_of({"test_setup_code": "", **fields})
    digest = blake2b(broken.encode(), digest_size=4).hexdigest()
    return RepairTask(
        task_id=f"mbpp-failing/{number}/{model}/{digest}",
        prompt=checked(fields, "text", TEXT),
        broken=tidy_program(broken),
        tests=tests,
        reference=reference,
        entry_point=entry_point_of(reference, tests),
        split=split_of(number),
        source=f"mbpp-failing/{model}",
    )


FAILING = Format(
    name="failing program",
    fields=("task_id", "text", "buggy_code", "reference_code", "test_list"),
    marks=frozenset({"buggy_code", "reference_code"}),
    read=_read,
)

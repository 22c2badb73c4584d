"""Which format a file has, by the fields of its first object."""

from collections.abc import Collection

from redline.dsl.readers.failing import FAILING
from redline.dsl.readers.formats import Format
from redline.dsl.readers.humanevalfix import HUMANEVALFIX
from redline.dsl.readers.mbpp import MBPP
from redline.dsl.task_fields import TaskFieldError, task_from_fields

REDLINE = Format(
    name="redline task",
    fields=("task_id", "prompt", "broken", "tests"),
    marks=frozenset({"broken", "tests"}),
    read=task_from_fields,
)
FORMATS = (REDLINE, HUMANEVALFIX, FAILING, MBPP)
"""In the order in which they are tried; the first may carry any fields as notes."""

_SHOWN_FIELDS = 8


def format_of(fields: Collection[str]) -> Format:
    """The format of an object; raises TaskFieldError saying what was expected."""
    for candidate in FORMATS:
        if not candidate.marks.isdisjoint(fields):
            return candidate
    got = ", ".join(repr(name)[:40] for name in list(fields)[:_SHOWN_FIELDS]) or "none"
    raise TaskFieldError(f"got an object with the fields {got}, expected those of {known()}")


def known() -> str:
    """The formats and their fields, for who gave a file of none of them."""
    named = [f"{each.name} ({', '.join(each.fields)})" for each in FORMATS]
    return f"a {', '.join(named[:-1])} or {named[-1]}"

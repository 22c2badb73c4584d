"""One `RepairTask` as a JSON object: its fields, their types, and what to say when one is wrong.

The checks of single fields serve the readers of other formats as well.
"""

import dataclasses
import difflib
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from redline.dsl.tasks import RepairTask


class TaskFieldError(ValueError):
    """A JSON text is no task; the message is one line that says which field and what to change."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FieldKind:
    """What a field may hold."""

    accepts: Callable[[Any], bool]
    expected: str
    change: str


def _is_text(value: object) -> bool:
    """Whether `value` is a string that UTF-8 can write: JSON lets lone surrogates through."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def _is_filled(value: object) -> bool:
    return _is_text(value) and str(value).strip() != ""


NAME = FieldKind(
    accepts=_is_filled,
    expected="a string that is not blank",
    change="give the task a name of its own",
)
TEXT = FieldKind(
    accepts=_is_text,
    expected="a string",
    change='write it in quotes, "" if there is none',
)
TEXT_OR_NULL = FieldKind(
    accepts=lambda value: value is None or _is_filled(value),
    expected="a string that is not blank, or null",
    change="write it in quotes, or null if there is none",
)
NUMBER = FieldKind(
    accepts=lambda value: isinstance(value, int) and not isinstance(value, bool),
    expected="a whole number",
    change="write it without quotes",
)
TESTS = FieldKind(
    accepts=lambda value: isinstance(value, list) and value != [] and all(map(_is_filled, value)),
    expected="a list of one or more Python snippets, none of them blank",
    change='write it as ["assert ...", "assert ..."]',
)
_FIELDS = {
    "task_id": NAME,
    "prompt": TEXT,
    "broken": TEXT,
    "tests": TESTS,
    "setup": TEXT,
    "reference": TEXT_OR_NULL,
    "entry_point": TEXT_OR_NULL,
    "split": TEXT,
    "source": TEXT,
}
_REQUIRED = ("task_id", "prompt", "broken", "tests")


def task_to_json(task: RepairTask) -> str:
    """Write `task` on one line, every field spelled out.

    Raises TaskFieldError for a record that `task_from_json` would not give back.
    """
    text = json.dumps(dataclasses.asdict(task), ensure_ascii=False)
    task_from_json(text)
    return text


def task_from_json(text: str) -> RepairTask:
    """Read one task. Raises TaskFieldError at the first field that is not as it should be."""
    return task_from_fields(object_from_json(text))


def object_from_json(text: str) -> dict[str, Any]:
    """The JSON object that a line of a file holds; raises TaskFieldError for anything else."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TaskFieldError(
            f"not JSON: {error}; expected one task as one JSON object on the line"
        ) from error
    if not isinstance(fields, dict):
        raise TaskFieldError(f"got {_shown(fields)}, expected a JSON object; write {{...}}")
    return fields


def task_from_fields(fields: Mapping[str, Any]) -> RepairTask:
    """The task that an object stands for; raises TaskFieldError like `task_from_json`."""
    refuse_missing(fields, {name: _FIELDS[name] for name in _REQUIRED})
    _refuse_misspelled(fields)
    for name, kind in _FIELDS.items():
        if name in fields:
            checked(fields, name, kind)
    known = {name: fields[name] for name in _FIELDS if name in fields}
    return RepairTask(**known | {"tests": tuple(fields["tests"])})


def checked(fields: Mapping[str, Any], name: str, kind: FieldKind) -> Any:
    """The value of a field; raises TaskFieldError when it is absent or of another kind."""
    refuse_missing(fields, {name: kind})
    if not kind.accepts(fields[name]):
        raise TaskFieldError(
            f"field {name!r}: got {_shown(fields[name])}, expected {kind.expected}; {kind.change}"
        )
    return fields[name]


def refuse_missing(fields: Collection[str], required: Mapping[str, FieldKind]) -> None:
    """Raise TaskFieldError for the first required field that is absent."""
    for name, kind in required.items():
        if name not in fields:
            raise TaskFieldError(f"field {name!r}: got none, expected {kind.expected}; add it")


def _refuse_misspelled(fields: Collection[str]) -> None:
    """Refuse an unknown field that is nearly the name of an absent one."""
    absent = [name for name in _FIELDS if name not in fields]
    for name in fields:
        if name not in _FIELDS and (near := difflib.get_close_matches(name, absent, n=1)):
            raise TaskFieldError(
                f"field {_shown(name)}: got an unknown name, expected {near[0]!r}; "
                "correct the spelling, or rename the field if it is a note of your own"
            )


def _shown(value: object, limit: int = 48) -> str:
    """Write a JSON value on one short line."""
    text = json.dumps(value)
    return text if len(text) <= limit else f"{text[:limit]}..."

"""Task files: one `RepairTask` a line, as JSON, in UTF-8.

    {"task_id": "demo/1", "prompt": "Add two numbers.", "broken": "def add(a, b):\\n    return a",
     "tests": ["assert add(1, 2) == 3"], "setup": "", "reference": null, "entry_point": "add",
     "split": "train", "source": "builtin/add"}          (one line in the file)

`task_id`, `prompt`, `broken` and `tests` are required, the others have the defaults of the
record; no two tasks share a `task_id`. Blank lines are skipped. Unknown fields are ignored, so
that a file may carry notes, unless one is nearly the name of a field that is absent (`setpu`):
skipping that would lose data without a word.

Published files of other formats are read as well, see `redline.dsl.readers`: the first object of
a file tells its format.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redline.dsl.files import (
    TaskFileError,
    TaskPath,
    name_faults,
    name_line,
    open_to_read,
    replace_lines,
)
from redline.dsl.readers.detect import format_of, known
from redline.dsl.readers.formats import Format
from redline.dsl.readers.sources import source_of
from redline.dsl.task_fields import TaskFieldError, object_from_json, task_to_json
from redline.dsl.tasks import RepairTask


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFile:
    """A file that was read as a whole."""

    format: Format
    tasks: tuple[RepairTask, ...]


def read_task_file(path: TaskPath) -> TaskFile:
    """Read every task of a file, in its order.

    `path` may also be a URL of fsspec or `hf:NAME`, a data set of the Hugging Face hub, or name
    another registered source. Raises TaskFileError at the first fault; a file without any task is
    one.
    """
    found = list(_iter_file(path))
    if not found:
        raise TaskFileError(
            f"{os.fspath(path)}: got no task, expected one JSON object a line; "
            "check that this is the right file"
        )
    return TaskFile(format=found[0][0], tasks=tuple(task for _, task in found))


def read_tasks(path: TaskPath) -> list[RepairTask]:
    """The tasks of a file by themselves; raises TaskFileError like `read_task_file`."""
    return list(read_task_file(path).tasks)


def iter_tasks(path: TaskPath) -> Iterator[RepairTask]:
    """Yield the tasks of a file one by one; no more than a line and the ids are kept.

    Raises TaskFileError when it comes to a fault.
    """
    for _, task in _iter_file(path):
        yield task


def write_tasks(path: TaskPath, tasks: Iterable[RepairTask]) -> None:
    """Write a task file: all of it or nothing, and only what `iter_tasks` gives back.

    A local file is replaced atomically, once its bytes are on the disk. Raises TaskFileError
    for a task that could not be read back and for a path that cannot be written.
    """
    seen: dict[str, int] = {}
    lines: list[bytes] = []
    for number, task in enumerate(tasks, start=1):
        with name_line(path, number):
            _claim_id(task, number, seen)
            lines.append(task_to_json(task).encode() + b"\n")
    with name_faults(path, "written"):
        replace_lines(path, lines)


def _iter_file(path: TaskPath) -> Iterator[tuple[Format, RepairTask]]:
    """Each task with the format that the first object of the file has."""
    seen: dict[str, int] = {}
    found: Format | None = None
    with name_faults(path, "read"):
        for number, fields in _objects(path):
            with name_line(path, number):
                found = found or format_of(fields)
                task = found.read(fields)
                _claim_id(task, number, seen)
            yield found, task


def _objects(path: TaskPath) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each object with the number of its line, or of its row in a data set."""
    if (asked := source_of(os.fspath(path))) is not None:
        source, rest = asked
        yield from enumerate(source(rest), start=1)
        return
    first = True
    with open_to_read(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            with name_line(path, number), _name_formats(first):
                # -sig drops the byte order mark that some editors put before the first line.
                fields = object_from_json(line.decode("utf-8-sig"))
            first = False
            yield number, fields


@contextmanager
def _name_formats(wanted: bool) -> Iterator[None]:
    """Say which files can be read where, if wanted, the very first line is no object."""
    try:
        yield
    except (TaskFieldError, UnicodeDecodeError) as error:
        if not wanted:
            raise
        raise TaskFieldError(f"{error}; each line is to hold object: {known()}") from error


def _claim_id(task: RepairTask, number: int, seen: dict[str, int]) -> None:
    """Enter the task's id with its line; raise TaskFieldError when it is taken."""
    first = seen.setdefault(task.task_id, number)
    if first != number:
        raise TaskFieldError(
            f"field 'task_id': got {task.task_id!r}, which line {first} has already, "
            "expected an id of its own; rename or remove one of the two"
        )


__all__ = ["TaskFile", "TaskFileError", "iter_tasks", "read_task_file", "read_tasks", "write_tasks"]

"""Files of lines, on this machine or in a bucket, and faults that name path and line.

Paths with a scheme (`s3://bucket/tasks.jsonl`) go through fsspec, all others through pathlib.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

import fsspec

from redline.dsl.task_fields import TaskFieldError

TaskPath = str | os.PathLike[str]


class TaskFileError(ValueError):
    """A task file cannot be used.

    The message is one line: `path:line: field 'tests': got ..., expected ...; what to change`.
    """


def open_to_read(path: TaskPath) -> AbstractContextManager[BinaryIO]:
    """The bytes of a local file or of an object in a bucket."""
    if _has_scheme(path):
        return fsspec.open(os.fspath(path), "rb")
    return Path(path).open("rb")


def replace_lines(path: TaskPath, lines: list[bytes]) -> None:
    """Write a file: all of it or nothing. A local one is replaced once its bytes are on disk."""
    if _has_scheme(path):
        # Object stores show an upload only once it is complete.
        with fsspec.open(os.fspath(path), "wb") as stream:
            stream.writelines(lines)
    else:
        _replace(Path(path), lines)


def _has_scheme(path: TaskPath) -> bool:
    return "://" in os.fspath(path)


def _replace(path: Path, lines: list[bytes]) -> None:
    """Put `lines` in the place of `path`, following links, or leave everything as it was."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError("it is not a regular file")
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as stream:
            stream.writelines(lines)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def name_line(path: TaskPath, number: int) -> Iterator[None]:
    """Put `path:line` in front of what is wrong with a line."""
    try:
        yield
    except (TaskFieldError, UnicodeDecodeError) as error:
        raise TaskFileError(f"{os.fspath(path)}:{number}: {error}") from error


@contextmanager
def name_faults(path: TaskPath, done: str) -> Iterator[None]:
    """Turn what goes wrong with the file itself into a TaskFileError.

    Besides OSError, fsspec raises ValueError for an unknown scheme and ImportError for one
    whose package is not installed.
    """
    try:
        yield
    except TaskFileError:
        raise
    except (OSError, ValueError, ImportError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise TaskFileError(f"{os.fspath(path)}: cannot be {done}: {reason}") from error

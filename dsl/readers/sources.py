"""Where task files come from beside files: `NAME:REST` asks the source registered as NAME."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from redline.dsl.readers.hub import dataset_rows
from redline.dsl.registry import Registry

TaskSource = Callable[[str], Iterator[Mapping[str, Any]]]
"""Yields objects of any known format, such as those of a task file, for what follows the colon.

Raises OSError when they cannot be had.
"""

SOURCES: Registry[TaskSource] = Registry("the prefix of a task file")
SOURCES.add("hf", dataset_rows)


def source_of(path: str) -> tuple[TaskSource, str] | None:
    """The source that a path names and what it is asked for; None for a file or an URL."""
    name, colon, rest = path.partition(":")
    if not colon or rest.startswith("//") or name not in SOURCES:
        return None
    return SOURCES[name], rest

"""What a reader is: how its format is recognised, and how one object becomes a task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from redline.dsl.tasks import RepairTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format of task files; every line (or row of a data set) is one object."""

    name: str
    """As it is called in messages, e.g. `MBPP problem`."""
    fields: tuple[str, ...]
    """Fields that every object has, as told to who gives a file of no known format."""
    marks: frozenset[str]
    """Fields by which it is recognised: any one of them will do."""
    references_only: bool = False
    """Whether there are correct programs only: `broken` is then the empty program."""
    read: Callable[[Mapping[str, Any]], RepairTask]
    """Raises TaskFieldError at the first field that is not as it should be."""

"""Parts that a setting chooses among by name; modules named in `plugins` add the user's own."""

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """Parts by name.

    Names that come with redline are known before the parts are, so that a configuration can be
    checked without loading an engine.
    """

    def __init__(self, setting: str, builtin: Sequence[str] = ()) -> None:
        """`setting` is the key that chooses, for messages."""
        self._setting = setting
        self._builtin = tuple(builtin)
        self._parts: dict[str, T] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that the setting may have."""
        return tuple(dict.fromkeys((*self._builtin, *self._parts)))

    def add(self, name: str, part: T) -> None:
        """Enter a part; ValueError when the name is taken."""
        if name in self._parts:
            raise ValueError(
                f"{self._setting}: {name!r} is registered already; choose another name"
            )
        self._parts[name] = part

    def __getitem__(self, name: str) -> T:
        """The part of that name; ValueError when there is none."""
        if name not in self._parts:
            raise ValueError(
                f"{self._setting} is {name!r}, expected one of {', '.join(sorted(self._parts))}"
            )
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        """The names of the parts that are there."""
        return iter(self._parts)

    def __contains__(self, name: object) -> bool:
        return name in self._parts

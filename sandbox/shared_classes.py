"""Classes that the setup defines: both children have them, so their instances cross by value.

An instance crosses as its class's name and its attributes, and is made without a call of the class.
Its methods here are those of the setup: an attribute that would hide one is refused.

Loaded by the fork server; standard library only.
"""

import enum
from collections.abc import Iterable
from typing import Any

from redline.sandbox.codec import MalformedValue

_OTHERS = (
    *(enum.Enum, BaseException, type, int, float, complex, str, bytes, bytearray, tuple, list),
    *(dict, set, frozenset),
)


class SharedClasses:
    """The setup's classes by name; with none of them, nothing crosses this way."""

    def __init__(self, namespace: dict[str, Any] | None = None) -> None:
        """`namespace`: the names that the setup has bound, before any other code bound more."""
        self._by_name = {
            name: each
            for name, each in (namespace or {}).items()
            if isinstance(each, type) and each.__module__ == "program"
        }
        self._names = {each: name for name, each in self._by_name.items()}

    def crosses(self, value: object) -> bool:
        """Whether this is an instance whose class and attributes are all there is to it."""
        kind = type(value)
        return (
            kind in self._names
            and not issubclass(kind, _OTHERS)
            and type(getattr(value, "__dict__", None)) is dict
        )

    def parts(self, value: Any) -> list[object]:
        """Class name, and attribute names and values, one after another."""
        attributes = [part for pair in value.__dict__.items() for part in pair]
        return [self._names[type(value)], *attributes]

    def blank(self, name: object) -> object:
        """An instance without attributes; raises `MalformedValue`."""
        kind = self.named(name)
        if issubclass(kind, _OTHERS):
            raise MalformedValue("a class whose instances do not cross")
        return object.__new__(kind)

    def fill(self, value: Any, parts: Iterable[Any]) -> None:
        """Give an instance these attributes and no others; raises `MalformedValue`."""
        name, *rest = parts
        if self._names.get(type(value)) != name or len(rest) % 2:
            raise MalformedValue("an instance that changed its class")
        fresh = dict(zip(rest[::2], rest[1::2], strict=True))
        for key in fresh:
            if type(key) is not str or callable(getattr(type(value), key, None)):
                raise MalformedValue("an attribute that hides a method")
        value.__dict__.clear()
        value.__dict__.update(fresh)

    def reference(self, value: object) -> tuple[str, ...] | None:
        """What crosses for such a class itself, or for a member of such an enumeration."""
        if isinstance(value, type):
            return ("setup", self._names[value]) if value in self._names else None
        if isinstance(value, enum.Enum) and type(value) in self._names:
            return ("member", self._names[type(value)], value.name)
        return None

    def referred(self, reference: object) -> Any:
        """The class or member that a reference stands for; None if it is no such reference."""
        match reference:
            case ("setup", name):
                return self.named(name)
            case ("member", name, str(member)):
                kind = self.named(name)
                if not issubclass(kind, enum.Enum) or member not in kind.__members__:
                    raise MalformedValue("no such member")
                return kind.__members__[member]
        return None

    def named(self, name: object) -> type[Any]:
        """The class of this name; raises `MalformedValue`."""
        found = self._by_name.get(name) if type(name) is str else None
        if found is None:
            raise MalformedValue("no class of the setup")
        return found

"""Short texts about values and outcomes for the policy: deterministic, one line, capped."""

import collections
from collections.abc import Iterable, Iterator

from redline.sandbox.canonical import Incomparable, TooCostly, Work, canonical
from redline.sandbox.codec import DictValue, Opaque, SetValue

MAX_VALUE_CHARS = 80
MAX_CALL_CHARS = 80
_MAX_INT_BITS = 1_000


def cut(text: str, limit: int) -> str:
    """The text in at most `limit` characters, with `...` where it was cut."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def show(value: object, limit: int = MAX_VALUE_CHARS) -> str:
    """A value of builtin types, or a decoded one, as Python writes it, cut short; sets in a fixed
    order. Anything else is told by its type, and no code of its own is run.

    Stops as soon as enough is written, so that a large value costs no more than a small one.
    """
    text = ""
    for piece in _Writer(limit).pieces(value):
        text += piece
        if len(text) > limit:
            break
    return cut(text, limit)


_DICTS = (dict, collections.Counter, collections.OrderedDict, collections.defaultdict)
_SCALARS = (type(None), bool, int, float, complex, range)


class _Writer:
    """Writes one value; what sets were sorted by is kept, since they may hold one another."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._work = Work()

    def pieces(self, value: object) -> Iterator[str]:
        """The text of a value, piece by piece."""
        kind = type(value)
        if kind in (SetValue, set, frozenset):
            yield from self._set(value)
        elif kind is DictValue or kind in _DICTS:
            yield from self._dict(value)
        elif kind is list:
            yield from self._joined("[", value, "]")  # type: ignore[arg-type]
        elif kind is tuple:
            yield from self._joined("(", value, ",)" if len(value) == 1 else ")")  # type: ignore[arg-type]
        elif kind is int and value.bit_length() > _MAX_INT_BITS:  # type: ignore[attr-defined]
            yield f"an integer of {value.bit_length()} bits"  # type: ignore[attr-defined]
        elif kind in (str, bytes, bytearray):
            yield repr(value[: self._limit + 1])  # type: ignore[index]
        elif kind in _SCALARS:
            yield repr(value)
        else:
            yield _other(value)

    def _dict(self, value: object) -> Iterator[str]:
        items = value.items if isinstance(value, DictValue) else dict.items(value)  # type: ignore[arg-type]
        yield "{"
        for index, (key, item) in enumerate(items):
            yield ", " if index else ""
            yield from self.pieces(key)
            yield ": "
            yield from self.pieces(item)
        yield "}"

    def _set(self, value: object) -> Iterator[str]:
        frozen = value.frozen if isinstance(value, SetValue) else type(value) is frozenset
        items = value.items if isinstance(value, SetValue) else tuple(value)  # type: ignore[arg-type]
        if not items:
            yield "frozenset()" if frozen else "set()"
            return
        opening, closing = ("frozenset({", "})") if frozen else ("{", "}")
        ordered = sorted(items, key=self._order) if len(items) > 1 else items
        yield from self._joined(opening, ordered, closing)

    def _joined(self, opening: str, items: Iterable[object], closing: str) -> Iterator[str]:
        yield opening
        for index, item in enumerate(items):
            yield ", " if index else ""
            yield from self.pieces(item)
        yield closing

    def _order(self, item: object) -> bytes:
        """Any fixed order; that of numbers and short strings is the usual one."""
        try:
            return canonical(item, self._work)
        except (Incomparable, TooCostly) as error:
            return b"~" + str(error).encode()


def _other(value: object) -> str:
    """A value of any other type."""
    if isinstance(value, Opaque):
        return f"a {value.type_name} object"
    if isinstance(value, type):
        return f"class {value.__name__}"
    name = type(value).__name__
    return "a function" if "function" in name.lower() else f"a {name} object"

"""Equality of decoded values by canonical encodings, in time that hostile values cannot stretch.

Python's `==` on sets and dicts hashes elements, and a candidate may return thousands of integers
with one hash. Here every value becomes bytes such that two values are equal in Python exactly
when their bytes are; sets and dicts become sorted sequences. Numbers are encoded by value, since
`1 == 1.0 == True`.
"""

import struct

from redline.sandbox.codec import DictValue, Opaque, SetValue

_LENGTH = struct.Struct(">I")


class Incomparable(ValueError):
    """A value that equals nothing, not even itself: a NaN or an object of another type."""


class TooCostly(ValueError):
    """A comparison that takes more work than a comparison may."""


class Work:
    """What one comparison, or one text about a value, may cost, counted in bytes.

    It is the judge's deadline. A clock would give other verdicts on a busy machine; the work does
    not depend on it, and the default is well under a second's.
    """

    def __init__(self, limit: int = 128 << 20) -> None:
        self._left = limit
        self.known: dict[int, bytes] = {}
        """What sets and dicts gave, by their `id`: they may be encoded again and again."""

    def spend(self, count: int) -> None:
        """Take note of this many bytes; raises `TooCostly` when there were too many."""
        self._left -= count
        if self._left < 0:
            raise TooCostly("too costly a result to compare")


def canonical(value: object, work: Work) -> bytes:
    """Bytes that are the same for equal values; raises `Incomparable` and `TooCostly`.

    Takes decoded values and plain Python ones alike. Two sets, or a set and a frozenset, are equal
    by elements; dicts by items in any order; ranges by the sequence they stand for.
    """
    kind = type(value)
    if value is None:
        return b"N"
    if kind in (bool, int, float, complex):
        return _number(value, work)  # type: ignore[arg-type]
    if kind is str:
        return _pack(work, b"s", value.encode("utf-8", "surrogatepass"))  # type: ignore[attr-defined]
    if kind is bytes:
        return _pack(work, b"b", value)  # type: ignore[arg-type]
    if kind is list or kind is tuple:
        tag = b"l" if kind is list else b"t"
        return _pack(work, tag, b"".join(canonical(item, work) for item in value))  # type: ignore[attr-defined]
    if kind in _UNORDERED:
        encoded = work.known.get(id(value))
        if encoded is None:
            encoded = work.known[id(value)] = _unordered(value, work)
        return encoded
    if kind is range:
        return _pack(work, b"r", _range(value, work))  # type: ignore[arg-type]
    raise Incomparable(value.type_name if isinstance(value, Opaque) else kind.__name__)


_UNORDERED = frozenset({set, frozenset, SetValue, dict, DictValue})


def _unordered(value: object, work: Work) -> bytes:
    if isinstance(value, dict | DictValue):
        pairs = value.items if isinstance(value, DictValue) else value.items()
        # Of equal keys the last counts, as in a dict.
        encoded = {canonical(key, work): canonical(item, work) for key, item in pairs}
        return _pack(work, b"d", b"".join(key + encoded[key] for key in sorted(encoded)))
    items = value.items if isinstance(value, SetValue) else tuple(value)  # type: ignore[arg-type]
    return _pack(work, b"S", b"".join(sorted({canonical(item, work) for item in items})))


def _pack(work: Work, tag: bytes, body: bytes) -> bytes:
    work.spend(len(body) + 8)
    return tag + _LENGTH.pack(len(body)) + body


def _number(value: complex, work: Work) -> bytes:
    if isinstance(value, complex):
        if value.imag != 0:
            return _pack(work, b"c", _number(value.real, work) + _number(value.imag, work))
        value = value.real
    if isinstance(value, float):
        if value != value:
            raise Incomparable("nan")
        if not value.is_integer():
            return _pack(work, b"f", struct.pack(">d", value))
    whole = int(value)
    return _pack(work, b"i", whole.to_bytes((whole.bit_length() + 8) // 8, "big", signed=True))


def _range(value: range, work: Work) -> bytes:
    # len() refuses ranges longer than a machine word; the difference does not.
    step = value.step
    length = max(0, -((value.start - value.stop) // step))
    parts = (length, value.start if length else 0, step if length > 1 else 0)
    return b"".join(_number(part, work) for part in parts)

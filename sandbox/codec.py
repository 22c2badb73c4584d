"""Values between a candidate's process and the judge: exact builtin types, capped, never pickle.

Encoding happens beside untrusted code, decoding outside it, so `decode` trusts no byte. Two
choices keep the judge safe: subclasses are not encoded as their base (an `int` subclass may
compare equal to everything), and sets and dicts are decoded as plain sequences of their elements,
because building a real set from hostile elements costs quadratic time.

This module is loaded by the fork server too and imports only the standard library.
"""

import collections
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

MAX_DEPTH = 64
MAX_ELEMENTS = 50_000

_LENGTH = struct.Struct("<I")
_FLOAT = struct.Struct("<d")
_COMPLEX = struct.Struct("<dd")
# Their `==` is that of dict, and correct programs do return them.
_DICTS = (dict, collections.Counter, collections.OrderedDict, collections.defaultdict)


class ValueTooLarge(ValueError):
    """A value has too many bytes, elements or levels to be encoded."""


class MalformedValue(ValueError):
    """Bytes that are not an encoded value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetValue:
    """A decoded set or frozenset; the elements in the order in which they came."""

    items: tuple[object, ...]
    frozen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DictValue:
    """A decoded dict; keys and values in insertion order."""

    items: tuple[tuple[object, object], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opaque:
    """A value of any other type: equal to nothing."""

    type_name: str


class _Encoder:
    """Appends encoded values to one buffer and counts what it has written."""

    def __init__(self, max_bytes: int) -> None:
        self.out = bytearray()
        self._max_bytes = max_bytes
        self._elements = 0

    def add(self, value: object, depth: int = 0) -> None:
        """Append one value; raises `ValueTooLarge`."""
        self._elements += 1
        if depth > MAX_DEPTH or self._elements > MAX_ELEMENTS or len(self.out) > self._max_bytes:
            raise ValueTooLarge("too large a result")
        kind = type(value)
        scalar = SCALARS.get(kind)
        if scalar is not None:
            self._put(*scalar(value))
        elif kind in _SEQUENCES:
            self._add_items(_SEQUENCES[kind], value, depth)
        elif kind in _DICTS:
            pairs: Iterable[tuple[object, object]] = dict.items(value)  # type: ignore[arg-type]
            self._add_items(b"d", [part for pair in pairs for part in pair], depth)
        elif kind is range:
            self._add_items(b"r", (value.start, value.stop, value.step), depth)  # type: ignore[attr-defined]
        else:
            self._put(b"o", _type_name(kind).encode("utf-8", "surrogatepass"))

    def _put(self, tag: bytes, body: bytes) -> None:
        if len(self.out) + len(body) > self._max_bytes:
            raise ValueTooLarge("too large a result")
        self.out += tag + _LENGTH.pack(len(body)) + body

    def _add_items(self, tag: bytes, items: object, depth: int) -> None:
        count = len(items)  # type: ignore[arg-type]
        if count > MAX_ELEMENTS:
            raise ValueTooLarge("too large a result")
        self.out += tag + _LENGTH.pack(count)
        for item in items:  # type: ignore[attr-defined]
            self.add(item, depth + 1)


def _int_bytes(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)


def _type_name(kind: type) -> str:
    name = type.__dict__["__name__"].__get__(kind)
    return name[:64]


SCALARS: dict[type, Callable[..., tuple[bytes, bytes]]] = {
    type(None): lambda value: (b"N", b""),
    bool: lambda value: (b"T" if value else b"F", b""),
    int: lambda value: (b"i", _int_bytes(value)),
    float: lambda value: (b"f", _FLOAT.pack(value)),
    complex: lambda value: (b"c", _COMPLEX.pack(value.real, value.imag)),
    str: lambda value: (b"s", value.encode("utf-8", "surrogatepass")),
    bytes: lambda value: (b"b", value),
}
_SEQUENCES: dict[type, bytes] = {list: b"l", tuple: b"t", set: b"S", frozenset: b"z"}


def encode(value: object, max_bytes: int) -> bytes:
    """Encode a value of exact builtin types; anything else becomes `Opaque` by its type's name.

    Raises `ValueTooLarge` above `max_bytes` bytes, `MAX_ELEMENTS` elements or `MAX_DEPTH` levels
    (which is also how a list that contains itself ends).
    """
    encoder = _Encoder(max_bytes)
    encoder.add(value)
    if len(encoder.out) > max_bytes:
        raise ValueTooLarge("too large a result")
    return bytes(encoder.out)


class _Decoder:
    """Reads values from untrusted bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._elements = 0

    def value(self, depth: int = 0) -> object:
        self._elements += 1
        if depth > MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise MalformedValue("more levels or elements than an encoder writes")
        tag = self._take(1)
        (length,) = _LENGTH.unpack(self._take(4))
        if tag in b"ltSzdr":
            return self._container(tag, length, depth)
        body = self._take(length)
        read = READERS.get(tag)
        if read is None:
            raise MalformedValue(f"unknown tag {tag!r}")
        try:
            return read(body)
        except (struct.error, UnicodeDecodeError) as error:
            raise MalformedValue(str(error)) from error

    def finish(self) -> None:
        if self._at != len(self._data):
            raise MalformedValue(f"{len(self._data) - self._at} bytes after the value")

    def _take(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        if self._at > len(self._data):
            raise MalformedValue(f"ends after {len(self._data)} bytes, wanted {self._at}")
        return self._data[start : self._at]

    def _container(self, tag: bytes, count: int, depth: int) -> object:
        if count > MAX_ELEMENTS:
            raise MalformedValue(f"{count} elements, at most {MAX_ELEMENTS}")
        items = tuple(self.value(depth + 1) for _ in range(count))
        if tag == b"l":
            return list(items)
        if tag == b"t":
            return items
        if tag == b"d":
            if count % 2:
                raise MalformedValue("a dict with a key that has no value")
            return DictValue(items=tuple(zip(items[::2], items[1::2], strict=True)))
        if tag == b"r":
            return range_of(items)
        return SetValue(items=items, frozen=tag == b"z")


def range_of(items: tuple[object, ...]) -> range:
    """The range of a start, a stop and a step; raises `MalformedValue`."""
    if len(items) != 3 or any(type(item) is not int for item in items) or items[2] == 0:
        raise MalformedValue("a range of other than three integers or with step 0")
    start, stop, step = items
    return range(start, stop, step)  # type: ignore[call-overload]


READERS: dict[bytes, Callable[[bytes], object]] = {
    b"N": lambda body: None,
    b"T": lambda body: True,
    b"F": lambda body: False,
    b"i": lambda body: int.from_bytes(body, "little", signed=True),
    b"f": lambda body: _FLOAT.unpack(body)[0],
    b"c": lambda body: complex(*_COMPLEX.unpack(body)),
    b"s": lambda body: body.decode("utf-8", "surrogatepass"),
    b"b": lambda body: body,
    b"o": lambda body: Opaque(type_name=body.decode("utf-8", "replace")),
}


def decode(data: bytes) -> object:
    """Decode one value from untrusted bytes.

    Sets come back as `SetValue`, dicts as `DictValue`, other types as `Opaque`; the rest as
    themselves. Raises `MalformedValue` and nothing else.
    """
    decoder = _Decoder(data)
    value = decoder.value()
    decoder.finish()
    return value

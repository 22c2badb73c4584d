"""Arguments and results between the two children: exact builtin types, aliases and references.

Unlike `redline.sandbox.codec`, whose decoded values are only compared, this one gives the test
real containers. Three things make that safe. No container is filled with more than
`MAX_SAME_HASH` elements of one hash, so a set of integers made to collide costs no quadratic time.
A result's containers form a tree except for those that came in as arguments, so no result grows
when it is walked. And whatever is not of an exact builtin type, or of a class of the setup, crosses
as a reference, whose meaning the two sides decide.

Mutable containers of a request are numbered in the order in which they are met; both sides keep
that table, so that an alias stays one and the answer can say what became of each container.

Loaded by the fork server; standard library only.
"""

import collections
import struct
from collections.abc import Callable, Iterable
from typing import Any

from redline.sandbox.codec import (
    MAX_DEPTH,
    READERS,
    SCALARS,
    MalformedValue,
    ValueTooLarge,
    range_of,
)
from redline.sandbox.shared_classes import SharedClasses

MAX_SAME_HASH = 256
_LENGTH = struct.Struct("<I")

Reference = tuple[Any, ...]
"""What stands for an object that cannot cross: scalars and tuples, written and read by hooks."""

_MUTABLE: dict[type, bytes] = {
    list: b"l",
    dict: b"d",
    set: b"S",
    bytearray: b"B",
    collections.Counter: b"C",
    collections.OrderedDict: b"O",
    collections.defaultdict: b"D",
    collections.deque: b"q",
}
_INSTANCE = b"I"
_NO_CLASSES = SharedClasses()
_KINDS = {tag: kind for kind, tag in _MUTABLE.items()}
_IMMUTABLE: dict[type, bytes] = {tuple: b"t", frozenset: b"z"}
_MAPPINGS = frozenset(b"dCOD")
_FACTORIES: dict[str, type | None] = {
    "": None,
    **{kind.__name__: kind for kind in (bool, dict, float, int, list, set, str, tuple)},
}


class LinkEncoder:
    """Appends values to one buffer; `refer` writes what is of no builtin type."""

    def __init__(
        self,
        refer: Callable[[object], Reference],
        max_bytes: int,
        max_elements: int,
        shared: list[Any] | None = None,
        classes: SharedClasses | None = None,
    ) -> None:
        """`shared`: containers numbered before; None numbers those that are met."""
        self._classes = classes or _NO_CLASSES
        self.out = bytearray()
        self.shared: list[Any] = [] if shared is None else shared
        self.elements = 0
        self._refer = refer
        self._max_bytes = max_bytes
        self._max_elements = max_elements
        self._numbering = shared is None
        self._numbers = {id(each): number for number, each in enumerate(self.shared)}

    def add(self, value: object, depth: int = 0) -> None:
        """Append one value; raises `ValueTooLarge`, and what `refer` raises."""
        self.elements += 1
        if (
            depth > MAX_DEPTH
            or self.elements > self._max_elements
            or len(self.out) > self._max_bytes
        ):
            raise ValueTooLarge("too large a result")
        kind = type(value)
        scalar = SCALARS.get(kind)
        if scalar is not None:
            tag, body = scalar(value)
            self._put(tag, body)
        elif kind in _MUTABLE and (kind is not collections.deque or value.maxlen is None):  # type: ignore[attr-defined]
            self._add_mutable(value, depth)
        elif kind in _IMMUTABLE:
            self._add_items(_IMMUTABLE[kind], value, depth)  # type: ignore[arg-type]
        elif kind is range:
            self._add_items(b"r", (value.start, value.stop, value.step), depth)  # type: ignore[attr-defined]
        elif self._classes.crosses(value):
            self._add_mutable(value, depth)
        else:
            self.out += b"x"
            self.add(self._classes.reference(value) or self._refer(value), depth + 1)

    def add_content(self, value: Any, depth: int = 0) -> None:
        """Append a container's content, its number or not."""
        kind = type(value)
        tag = _MUTABLE.get(kind, _INSTANCE)
        if tag == _INSTANCE:
            self._add_items(tag, self._classes.parts(value), depth)
            return
        if kind is bytearray:
            self._put(tag, bytes(value))
            return
        items: Iterable[object] = value
        if tag[0] in _MAPPINGS:
            pairs: Iterable[tuple[object, object]] = kind.items(value)
            items = [part for pair in pairs for part in pair]
        if kind is collections.defaultdict:
            factory = value.default_factory
            name = factory.__name__ if type(factory) is type else ""
            items = [name if _FACTORIES.get(name) is factory else "", *items]
        self._add_items(tag, items, depth)

    def _add_mutable(self, value: Any, depth: int) -> None:
        number = self._numbers.get(id(value))
        if number is not None:
            self.out += b"@" + _LENGTH.pack(number)
            return
        if self._numbering:
            self._numbers[id(value)] = len(self.shared)
            self.shared.append(value)
        self.add_content(value, depth)

    def _put(self, tag: bytes, body: bytes) -> None:
        if len(self.out) + len(body) > self._max_bytes:
            raise ValueTooLarge("too large a result")
        self.out += tag + _LENGTH.pack(len(body)) + body

    def _add_items(self, tag: bytes, items: Iterable[object], depth: int) -> None:
        items = tuple(items)
        if len(items) > self._max_elements:
            raise ValueTooLarge("too large a result")
        self.out += tag + _LENGTH.pack(len(items))
        for item in items:
            self.add(item, depth + 1)


class LinkDecoder:
    """Reads values from untrusted bytes; `resolve` reads references.

    Raises `MalformedValue` for anything that no encoder writes.
    """

    def __init__(
        self,
        data: bytes,
        resolve: Callable[[object], Any],
        max_elements: int,
        shared: list[Any] | None = None,
        classes: SharedClasses | None = None,
    ) -> None:
        self._classes = classes or _NO_CLASSES
        self.shared: list[Any] = [] if shared is None else shared
        self._data = data
        self._resolve = resolve
        self._left = max_elements
        self._numbering = shared is None
        self._at = 0

    def value(self, depth: int = 0) -> Any:
        """The next value."""
        self._left -= 1
        if depth > MAX_DEPTH + 2 or self._left < 0:
            raise MalformedValue("more levels or elements than an encoder writes")
        tag = self._take(1)
        if tag == b"x":
            reference = self.value(depth + 1)
            found = self._classes.referred(reference)
            return self._resolve(reference) if found is None else found
        (length,) = _LENGTH.unpack(self._take(4))
        if tag == b"@":
            if length >= len(self.shared):
                raise MalformedValue(f"no container has number {length}")
            return self.shared[length]
        if tag in _KINDS:
            return self._new(tag, length, depth)
        if tag == _INSTANCE:
            return self._instance(length, depth)
        if tag in (b"t", b"z", b"r"):
            items = self._items(length, depth)
            if tag == b"r":
                return range_of(tuple(items))
            return tuple(items) if tag == b"t" else frozenset(_spread(items))
        read = READERS.get(tag)
        if read is None:
            raise MalformedValue(f"unknown tag {tag!r}")
        body = self._take(length)
        try:
            return read(body)
        except (struct.error, UnicodeDecodeError) as error:
            raise MalformedValue(str(error)) from error

    def contents(self) -> list[tuple[bytes, Any]]:
        """What became of each shared container, to be given to `write_back`."""
        found = []
        for container in self.shared:
            tag = self._take(1)
            (length,) = _LENGTH.unpack(self._take(4))
            if tag == _INSTANCE and self._classes.crosses(container):
                found.append((tag, (self._classes, self._items(length, 0))))
                continue
            if _KINDS.get(tag) is not type(container):
                raise MalformedValue("a container changed its type")
            found.append((tag, self._content(tag, length, 0)))
        return found

    def finish(self) -> None:
        """Raises `MalformedValue` unless all was read."""
        if self._at != len(self._data):
            raise MalformedValue(f"{len(self._data) - self._at} bytes after the value")

    def _new(self, tag: bytes, length: int, depth: int) -> Any:
        container = _KINDS[tag]()
        if self._numbering:  # before its content, which may hold it
            self.shared.append(container)
        _fill(container, tag, self._content(tag, length, depth))
        return container

    def _instance(self, length: int, depth: int) -> Any:
        if length < 1 or length > self._left:
            raise MalformedValue("an instance without a class")
        name = self.value(depth + 1)
        instance = self._classes.blank(name)
        if self._numbering:
            self.shared.append(instance)
        self._classes.fill(instance, [name, *self._items(length - 1, depth)])
        return instance

    def _content(self, tag: bytes, length: int, depth: int) -> Any:
        """Bytes, items, or a factory and items."""
        if tag == b"B":
            return self._take(length)
        items = self._items(length, depth)
        if tag != b"D":
            return _checked(tag, items)
        if not items or type(items[0]) is not str or items[0] not in _FACTORIES:
            raise MalformedValue("a defaultdict without a factory")
        return _FACTORIES[items[0]], _checked(tag, items[1:])

    def _items(self, count: int, depth: int) -> list[Any]:
        if count > self._left:
            raise MalformedValue(f"{count} elements are too many")
        return [self.value(depth + 1) for _ in range(count)]

    def _take(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        if self._at > len(self._data):
            raise MalformedValue(f"ends after {len(self._data)} bytes, wanted {self._at}")
        return self._data[start : self._at]


def write_back(shared: list[Any], contents: list[tuple[bytes, Any]]) -> None:
    """Give each container the content that `LinkDecoder.contents` found for it, in place."""
    for container, (tag, content) in zip(shared, contents, strict=True):
        if tag == _INSTANCE:
            classes, parts = content
            classes.fill(container, parts)
            continue
        _fill(container, tag, content)


def _fill(container: Any, tag: bytes, content: Any) -> None:
    if tag == b"l" or tag == b"B":
        container[:] = content
        return
    if tag == b"D":
        container.default_factory, content = content
    container.clear()
    if tag == b"S":
        container.update(content)
    elif tag == b"q":
        container.extend(content)
    else:
        for key, item in zip(content[::2], content[1::2], strict=True):
            container[key] = item  # no update(): that of Counter adds up


def _checked(tag: bytes, items: list[Any]) -> list[Any]:
    """The items, after a look at what will be hashed."""
    if tag[0] in _MAPPINGS:
        if len(items) % 2:
            raise MalformedValue("a dict with a key that has no value")
        _spread(items[::2])
    elif tag == b"S":
        _spread(items)
    return items


def _spread(items: list[Any]) -> list[Any]:
    """The items, none of whose hashes is had by too many of them."""
    try:
        hashes = list(map(hash, items))
    except TypeError as error:
        raise MalformedValue(str(error)) from error
    if len(hashes) > MAX_SAME_HASH:
        (_, most), *_ = collections.Counter(hashes).most_common(1)
        if most > MAX_SAME_HASH:
            raise MalformedValue(f"{most} elements have one hash")
    return items

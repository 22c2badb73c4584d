"""One side of the link between candidate and judge child: it asks, answers, and is asked meanwhile.

A request is an operation with its arguments. Its answer holds the result, or the exception, and
what became of the arguments' containers, which the asking side writes back in place. While a side
waits it serves requests of the other (a callback), up to `MAX_NESTING` levels deep.

Loaded by the fork server; standard library only.
"""

import contextlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from redline.sandbox.codec import MAX_ELEMENTS, MalformedValue, ValueTooLarge
from redline.sandbox.link import ANSWERS, Link, LinkBroken, LinkFault, MessageKind
from redline.sandbox.link_codec import LinkDecoder, LinkEncoder, Reference, write_back
from redline.sandbox.shared_classes import SharedClasses

MAX_NESTING = 16
MAX_REQUEST_BYTES = 16 << 20
MAX_REQUEST_ELEMENTS = 500_000
_FRAMES = 200  # of the interpreter's recursion limit, kept for the exchange itself
_SAME, _CHANGED = b"=", b"~"


class ResultTooLarge(ValueError):
    """The other side's result does not fit into an answer."""


class Endpoint(ABC):
    """What both sides have in common; each decides what references mean and what may be asked."""

    def __init__(self, link: Link, result_bytes: int) -> None:
        """`result_bytes`: bytes of one answer, besides twice those of its request."""
        self.link = link
        self.classes = SharedClasses()
        """Classes whose instances cross by value."""
        self.fault: LinkFault | None = None
        """Why nothing more can be asked."""
        self._result_bytes = result_bytes
        self._asking = 0
        self._number = 0

    @abstractmethod
    def refer(self, value: object) -> Reference:
        """What crosses instead of an object that cannot."""

    @abstractmethod
    def resolve(self, reference: object) -> Any:
        """The object that a reference stands for; raises `MalformedValue`."""

    @abstractmethod
    def operate(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Perform what the other side asks for."""

    @abstractmethod
    def error_data(self, error: BaseException, *, brief: bool = False) -> Reference:
        """An exception as data; `brief` where all of it was too large."""

    @abstractmethod
    def error_from(self, data: Any, operation: str) -> BaseException:
        """The exception that the data stand for; raises `MalformedValue`."""

    def ask(self, operation: str, /, *args: Any, **kwargs: Any) -> Any:
        """Let the other side perform an operation and return or raise what came of it.

        Raises `LinkFault` when it cannot be talked to, `ResultTooLarge`, `ValueTooLarge` for
        arguments that do not fit, and `RecursionError` when requests are nested too deep.
        """
        if self.fault is not None:
            raise self.fault
        if self._asking >= MAX_NESTING:
            raise RecursionError("maximum recursion depth exceeded")
        request = self._request((operation, args, tuple(kwargs.items())))
        self._asking += 1
        try:
            with _more_frames():
                kind, answer = self._exchange(bytes(request.out))
                if kind is MessageKind.TOO_LARGE:
                    raise ResultTooLarge("too large a result")
                value = self._read_answer(answer, request)
        except (LinkFault, MalformedValue) as error:
            self.fault = error if isinstance(error, LinkFault) else LinkBroken(str(error))
            raise self.fault from None
        finally:
            self._asking -= 1
        if kind is MessageKind.RESULT:
            return value
        raise self._raised(value, operation)

    def _raised(self, data: Any, operation: str) -> BaseException:
        try:
            return self.error_from(data, operation)
        except MalformedValue as error:
            self.fault = LinkBroken(str(error))
            return self.fault

    def serve(self, number: int, body: bytes) -> None:
        """Perform one request and answer it; raises `LinkFault`."""
        decoder = LinkDecoder(body, self.resolve, MAX_REQUEST_ELEMENTS, classes=self.classes)
        try:
            request = decoder.value()
            decoder.finish()
            operation, args, kwargs = _checked_request(request)
        except MalformedValue as error:
            raise LinkBroken(str(error)) from None
        changes = _Changes(request, body, decoder.shared)
        try:
            value = self.operate(operation, args, kwargs)
            kind, answer = MessageKind.RESULT, self._answer(value, changes)
        except ValueTooLarge:
            kind, answer = MessageKind.TOO_LARGE, b""
        except LinkFault:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit and all: it is an outcome
            kind, answer = MessageKind.RAISED, self._error_answer(error, changes)
        self.link.send(kind, number, answer)

    def _exchange(self, body: bytes) -> tuple[MessageKind, bytes]:
        self._number = number = (self._number + 1) % (1 << 32)
        try:
            self.link.send(MessageKind.REQUEST, number, body)
            while True:
                kind, answered, answer = self.link.receive()
                if kind is MessageKind.REQUEST:
                    self.serve(answered, answer)
                elif kind in ANSWERS and answered == number:
                    return kind, answer
                else:
                    raise LinkBroken(f"{kind.name} {answered} instead of an answer to {number}")
        except LinkFault:
            raise
        except BaseException as error:
            # Somewhere between two messages: what comes next could be taken for something else.
            self.fault = LinkBroken(f"{type(error).__name__} within an exchange")
            raise

    def _request(self, value: Reference) -> LinkEncoder:
        encoder = LinkEncoder(
            self.refer, MAX_REQUEST_BYTES, MAX_REQUEST_ELEMENTS, classes=self.classes
        )
        encoder.add(value)
        return encoder

    def _read_answer(self, answer: bytes, request: LinkEncoder) -> Any:
        decoder = LinkDecoder(
            answer[1:],
            self.resolve,
            MAX_ELEMENTS + 2 * request.elements,
            request.shared,
            self.classes,
        )
        if answer[:1] not in (_SAME, _CHANGED):
            raise MalformedValue("an answer that does not say what became of the arguments")
        contents = decoder.contents() if answer[:1] == _CHANGED else None
        value = decoder.value()
        decoder.finish()
        if contents is not None:
            write_back(request.shared, contents)
        return value

    def _answer(self, value: object, changes: "_Changes") -> bytes:
        encoder = LinkEncoder(
            self.refer,
            self._result_bytes + 2 * len(changes.body),
            MAX_ELEMENTS + 2 * changes.elements,
            changes.shared,
            self.classes,
        )
        if changes.shared and bytes(self._request(changes.request).out) != changes.body:
            encoder.out += _CHANGED
            for container in changes.shared:
                encoder.add_content(container)
        else:
            encoder.out += _SAME
        encoder.add(value)
        return bytes(encoder.out)

    def _error_answer(self, error: BaseException, changes: "_Changes") -> bytes:
        """All of an exception, or its type and text where the rest cannot cross."""
        try:
            return self._answer(self.error_data(error), changes)
        except LinkFault:
            raise
        except BaseException:  # noqa: BLE001 - arguments of any kind, and hostile ones
            changes.shared.clear()
            return self._answer(self.error_data(error, brief=True), changes)


class _Changes:
    """A request as it came, to find out what became of its containers."""

    def __init__(self, request: Reference, body: bytes, shared: list[Any]) -> None:
        self.request = request
        self.body = body
        self.shared = shared
        self.elements = len(body) // 5  # an element has at least a tag and a length


def _checked_request(request: Any) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    match request:
        case (str(operation), tuple(args), tuple(items)):
            pass
        case _:
            raise MalformedValue("a request that is none")
    for item in items:
        if type(item) is not tuple or len(item) != 2 or type(item[0]) is not str:
            raise MalformedValue("keyword arguments that are none")
    return operation, args, dict(items)


@contextlib.contextmanager
def _more_frames() -> Iterator[None]:
    """Room for the exchange where a program has recursed close to the interpreter's limit."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(min(limit + _FRAMES, 1 << 30))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)

"""Messages between the candidate child and the judge child, over two pipes.

The reader believes nothing: lengths are capped, and every answer carries the number of the request
it answers, so that an answer given twice or early is a fault and not the answer to something else.

Loaded by the fork server; standard library only.
"""

import os
import struct
from enum import IntEnum

_HEAD = struct.Struct("<IBI")
_CHUNK = 65_536


class MessageKind(IntEnum):
    """What a message is."""

    READY = 0
    """Candidate to judge: setup and program have run."""
    REQUEST = 1
    """An operation that the other side shall perform; allowed while it waits for an answer too."""
    RESULT = 2
    RAISED = 3
    TOO_LARGE = 4
    """The result has more bytes, elements or levels than an answer may hold."""


ANSWERS = frozenset({MessageKind.RESULT, MessageKind.RAISED, MessageKind.TOO_LARGE})
_KINDS = frozenset(int(kind) for kind in MessageKind)


class LinkFault(BaseException):
    """The other side cannot be talked to any more; no `except Exception` of a test catches it."""


class LinkClosed(LinkFault):
    """The other side is gone, or closed its end."""


class LinkBroken(LinkFault):
    """The other side sent what no message is, or one out of turn."""


class Link:
    """One end: sends and receives whole messages, blocking."""

    def __init__(self, read_fd: int, write_fd: int, max_bytes: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self.max_bytes = max_bytes
        self._held = bytearray()

    def send(self, kind: MessageKind, number: int, body: bytes) -> None:
        """Send one message; raises `LinkClosed`."""
        view = memoryview(_HEAD.pack(len(body), kind, number) + body)
        try:
            while view:
                view = view[os.write(self._write_fd, view) :]
        except OSError as error:
            raise LinkClosed(str(error)) from None

    def receive(self) -> tuple[MessageKind, int, bytes]:
        """The next message's kind, number and body; raises `LinkClosed` or `LinkBroken`."""
        self._fill(_HEAD.size)
        length, kind, number = _HEAD.unpack_from(self._held)
        if length > self.max_bytes:
            raise LinkBroken(f"a message of {length} bytes, at most {self.max_bytes}")
        if kind not in _KINDS:
            raise LinkBroken(f"a message of kind {kind}")
        end = _HEAD.size + length
        self._fill(end)
        body = bytes(self._held[_HEAD.size : end])
        del self._held[:end]
        return MessageKind(kind), number, body

    def _fill(self, count: int) -> None:
        """Hold at least this many bytes."""
        while len(self._held) < count:
            try:
                piece = os.read(self._read_fd, _CHUNK)
            except OSError as error:
                raise LinkClosed(str(error)) from None
            if not piece:
                raise LinkClosed("no more messages")
            self._held += piece

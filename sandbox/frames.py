"""The result file of one contained child: a sequence of frames, one per outcome.

The candidate shares a process with the writer of its file, so the reader believes nothing but the
file's length: a forged frame is no more than a value the candidate might as well have returned.
`PASSED`, `FAILED`, `GONE` and `BROKEN` count in the judge child's file only, whose bodies are JSON:
what is told of the test with its expectation, and without.

This module is loaded by the fork server too and imports only the standard library.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

_HEAD = struct.Struct("<IBd")


class FrameKind(IntEnum):
    """What happened to the program (`LOADED`) or to one test."""

    LOADED = 0
    VALUE = 1
    """A call returned; the body is the encoded value."""
    RAISED = 2
    """An exception; the body is its text."""
    MEMORY = 3
    TOO_LARGE = 4
    """A call returned more than a result may hold."""
    PASSED = 5
    """A snippet ran to its end."""
    FAILED = 6
    """A snippet's own assertion failed; the body is what is told of it."""
    GONE = 7
    """The judge child found the candidate's end of the link closed."""
    BROKEN = 8
    """The judge child was sent what makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One outcome."""

    kind: FrameKind
    cpu_ms: float
    body: bytes


class MalformedFrame(ValueError):
    """The result file is not a sequence of frames."""


def pack_frame(kind: FrameKind, cpu_ms: float, body: bytes = b"") -> bytes:
    """The bytes of one frame."""
    return _HEAD.pack(len(body), kind, cpu_ms) + body


def read_frames(data: bytes, limit: int) -> tuple[list[Frame], bool]:
    """At most `limit` frames from untrusted bytes, and whether all of them were well-formed."""
    frames: list[Frame] = []
    at = 0
    while at < len(data) and len(frames) < limit:
        if at + _HEAD.size > len(data):
            return frames, False
        length, kind, cpu_ms = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if at + length > len(data) or kind not in _KINDS or not 0 <= cpu_ms < 1e9:
            return frames, False
        frames.append(Frame(kind=FrameKind(kind), cpu_ms=cpu_ms, body=data[at : at + length]))
        at += length
    return frames, at == len(data)


_KINDS = frozenset(int(kind) for kind in FrameKind)

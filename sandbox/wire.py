"""Messages between the pool and a fork server, over a `SOCK_SEQPACKET` pair.

Neither programs nor tests nor results travel here: they lie in two memory files whose descriptors
accompany a `RunOrder`, so that the server, from which every later child is forked, never holds
them. Each message is one packet: a kind byte and a body.

This module is loaded by the fork server too and imports only the standard library.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

MAX_PACKET = 65_536

HELLO = b"H"
"""Server to pool: ready; the body is the server's layers as JSON."""
REFUSED = b"X"
"""Server to pool, instead of `HELLO`: its tier cannot be had here; the body says why, as JSON."""
RUN = b"R"
"""Pool to server: a `RunOrder` with the descriptors of payload and result file; or two of each,
the candidate's and the judge child's."""
ABORT = b"A"
"""Pool to server: kill what runs; ignored when nothing does."""
END = b"E"
"""Server to pool: the run is over and nothing of it is left; the body is a `RunEnd` per child."""
FAULT = b"F"
"""Server to pool: the server itself could not run the order; the body is the reason."""

_ORDER = struct.Struct("<ddQQQ")
_END = struct.Struct("<Bid")


class EndCause(IntEnum):
    """Why a contained child ended."""

    EXIT = 0
    SIGNAL = 1
    CPU = 2
    WALL = 3
    ABORTED = 4
    OVER = 5
    """Killed because the child that asked it things had ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """Limits of one contained child, enforced from outside it."""

    cpu_seconds: float
    """CPU time of the whole child; the limit per test is kept inside the child."""
    wall_seconds: float
    memory_bytes: int
    """Address space added to what the server has."""
    output_bytes: int
    """Bytes on stdout and stderr together, and of any file the candidate writes."""
    result_bytes: int
    """Bytes of the whole result file."""

    def pack(self) -> bytes:
        """This order within a packet."""
        return _ORDER.pack(
            self.cpu_seconds,
            self.wall_seconds,
            self.memory_bytes,
            self.output_bytes,
            self.result_bytes,
        )

    @classmethod
    def unpack_all(cls, body: bytes) -> "list[RunOrder]":
        """The orders in a packet's body; raises `struct.error` when it holds something else."""
        return [
            cls(
                cpu_seconds=cpu,
                wall_seconds=wall,
                memory_bytes=memory,
                output_bytes=output,
                result_bytes=result,
            )
            for cpu, wall, memory, output, result in _ORDER.iter_unpack(body)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a contained child ended."""

    cause: EndCause
    code: int
    """Exit status or signal number."""
    cpu_seconds: float

    def pack(self) -> bytes:
        """This end within a packet."""
        return _END.pack(self.cause, self.code, self.cpu_seconds)

    @classmethod
    def unpack_all(cls, body: bytes) -> "list[RunEnd]":
        """The ends in a packet's body; raises `struct.error` or `ValueError` if it holds others."""
        return [
            cls(cause=EndCause(cause), code=code, cpu_seconds=cpu)
            for cause, code, cpu in _END.iter_unpack(body)
        ]

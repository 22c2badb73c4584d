"""What runs inside the candidate's child: the program, then the calls of its tests.

The payload (JSON in the payload file) holds the program and, on the path of plain assertions, only
the call expressions of the tests; what they should return is not in this process. Each outcome is
written as soon as it is known, so that a crash in one test leaves the outcomes before it. Where a
judge child runs the tests, this one serves what that asks.

Loaded by the fork server; standard library only.
"""

import functools
import json
import os
import signal
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass

from redline.sandbox.codec import ValueTooLarge, encode
from redline.sandbox.containment import (
    LINK_READ_FD,
    LINK_WRITE_FD,
    PAYLOAD_FD,
    RESULT_FD,
    allow_file_bytes,
    lift_memory_reserve,
)
from redline.sandbox.endpoint import MAX_REQUEST_BYTES
from redline.sandbox.errors import PROGRAM, SETUP, TEST, error_text, message_of, program_line
from redline.sandbox.frames import FrameKind, pack_frame
from redline.sandbox.link import Link
from redline.sandbox.remote import CandidateSide
from redline.sandbox.shared_classes import SharedClasses
from redline.sandbox.wire import RunOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What a child is to run; the fields of the payload file."""

    setup: str
    program: str
    calls: list[str] | None
    """Expressions whose values go out; None where a judge child asks instead."""
    cpu_seconds: float
    """CPU time of the program's start, and of each test."""
    max_bytes: int
    """Bytes of one encoded value."""


def read_payload() -> Payload:
    """Read and close the payload file; none of the candidate's code has run until here."""
    data = os.pread(PAYLOAD_FD, os.lseek(PAYLOAD_FD, 0, os.SEEK_END), 0)
    os.close(PAYLOAD_FD)
    return Payload(**json.loads(data))


def run_payload(payload: Payload, order: RunOrder) -> None:
    """Run the program, then its calls; write a frame per outcome to the result file."""
    report = _Reporter(order, payload.cpu_seconds)
    module = types.ModuleType("program")
    sys.modules["program"] = module  # dataclasses and typing look their module up

    classes = SharedClasses()

    def load() -> tuple[FrameKind, bytes]:
        nonlocal classes
        exec(compile(payload.setup, SETUP, "exec"), module.__dict__)
        classes = SharedClasses(module.__dict__)
        exec(compile(payload.program, PROGRAM, "exec"), module.__dict__)
        return FrameKind.LOADED, b""

    def call(text: str) -> tuple[FrameKind, bytes]:
        value = eval(compile(text, TEST, "eval"), module.__dict__)
        return FrameKind.VALUE, encode(value, payload.max_bytes)

    if not report.outcome(load):
        return
    if payload.calls is None:
        link = Link(LINK_READ_FD, LINK_WRITE_FD, 2 * MAX_REQUEST_BYTES)
        side = CandidateSide(link, payload.max_bytes, module.__dict__, payload.cpu_seconds)
        side.classes = classes
        side.run()
        return
    for text in payload.calls:
        report.outcome(functools.partial(call, text))


class _Reporter:
    """Runs steps under the CPU limit of one test and writes their outcomes."""

    def __init__(self, order: RunOrder, cpu_seconds: float) -> None:
        self._order = order
        self._cpu_seconds = cpu_seconds

    def outcome(self, step: Callable[[], tuple[FrameKind, bytes]]) -> bool:
        """Run one step and write its frame; whether it ended without an exception.

        The timer counts CPU time and its signal, left at its default action, ends the process
        even inside a single long operation of the interpreter. A candidate that ignores the
        signal meets the fork server's limit instead.
        """
        started = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, self._cpu_seconds)
        try:
            kind, body = step()
        except MemoryError:
            kind, body = FrameKind.MEMORY, b""
        except ValueTooLarge:
            kind, body = FrameKind.TOO_LARGE, b""
        except BaseException as error:  # noqa: BLE001 - SystemExit and all: it is an outcome
            text = error_text(type(error).__name__, message_of(error), program_line(error))
            kind, body = FrameKind.RAISED, text.encode("utf-8", "replace")
        signal.setitimer(signal.ITIMER_PROF, 0)
        if kind is FrameKind.MEMORY:
            lift_memory_reserve()
        allow_file_bytes(self._order.result_bytes, self._order)
        os.write(RESULT_FD, pack_frame(kind, (time.process_time() - started) * 1e3, body))
        allow_file_bytes(self._order.output_bytes, self._order)
        return kind in (FrameKind.LOADED, FrameKind.VALUE)

"""What runs inside the judge child: setup and tests, which see the candidate through stand-ins.

The payload (JSON in the payload file) holds no program. Each test runs in a namespace of its own;
names that it leaves open are asked from the candidate (see `redline.sandbox.names`). An outcome is
written as soon as it is known. When the candidate cannot be talked to any more the child says so
and ends: the tests that are left run in another pair.

Loaded by the fork server; standard library only.
"""

import json
import os
import signal
import sys
import time
import types
from dataclasses import dataclass

from redline.sandbox.containment import LINK_READ_FD, LINK_WRITE_FD, PAYLOAD_FD, RESULT_FD
from redline.sandbox.endpoint import MAX_REQUEST_BYTES, ResultTooLarge
from redline.sandbox.errors import SETUP, TEST, innermost_line, message_of, one_line
from redline.sandbox.frames import FrameKind, pack_frame
from redline.sandbox.judge_side import JudgeSide
from redline.sandbox.link import Link, LinkClosed, LinkFault
from redline.sandbox.names import JudgedTest, Names
from redline.sandbox.shared_classes import SharedClasses

_LINK_SLACK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePayload:
    """What a judge child is to run; the fields of its payload file."""

    setup: str
    tests: list[JudgedTest]
    entry_point: str | None
    cpu_seconds: float
    """CPU time of this process for setup and one test."""
    max_bytes: int
    """Bytes of one encoded result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is told of a test: to those who may know what it expects, and to all."""

    kind: FrameKind
    detail: str = ""
    blind: str = ""

    def pack(self, cpu_ms: float) -> bytes:
        """The frame that carries it."""
        return pack_frame(self.kind, cpu_ms, json.dumps([self.detail, self.blind]).encode())


def read_judge_payload() -> JudgePayload:
    """Read and close the payload file."""
    data = os.pread(PAYLOAD_FD, os.lseek(PAYLOAD_FD, 0, os.SEEK_END), 0)
    os.close(PAYLOAD_FD)
    fields = json.loads(data)
    tests = [JudgedTest(**test) for test in fields.pop("tests")]
    return JudgePayload(tests=tests, **fields)


def run_judge(payload: JudgePayload) -> None:
    """Run the tests; write a frame per outcome to the result file."""
    link = Link(
        LINK_READ_FD, LINK_WRITE_FD, payload.max_bytes + 2 * MAX_REQUEST_BYTES + _LINK_SLACK
    )
    side = JudgeSide(link, MAX_REQUEST_BYTES)
    try:
        side.wait_until_ready()
    except LinkFault:
        return  # what the candidate left tells why
    signal.setitimer(signal.ITIMER_PROF, payload.cpu_seconds)
    names = _set_up(payload, side)
    for test in payload.tests:
        signal.setitimer(signal.ITIMER_PROF, payload.cpu_seconds)
        started = time.process_time()
        finding = _run_test(test, names, side)
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(RESULT_FD, finding.pack((time.process_time() - started) * 1e3))
        if side.fault is not None or finding.kind is FrameKind.MEMORY:
            return


def _set_up(payload: JudgePayload, side: JudgeSide) -> Names:
    """The names that the setup binds; what it raises is the sandbox's fault, since it has run in
    the candidate's process too."""
    module = types.ModuleType("program")
    sys.modules["program"] = module  # dataclasses and typing look their module up
    names = Names(module.__dict__, payload.entry_point, side, keep=False)
    exec(compile(payload.setup, SETUP, "exec"), names)
    module.__dict__.update(names)
    side.classes = SharedClasses(names)
    if payload.entry_point is not None:
        names.pop(payload.entry_point, None)
    return names


def _run_test(test: JudgedTest, names: Names, side: JudgeSide) -> Finding:
    text = test.text
    try:
        side.start_test()
        exec(compile(test.text, TEST, "exec"), names.for_test(test))
    except BaseException as error:  # noqa: BLE001 - SystemExit and all: it is an outcome
        return _finding(error, text, side)
    if side.fault is not None:
        return _fault(side.fault, side)
    if side.too_large:
        return _limit(FrameKind.TOO_LARGE, side)
    if side.failed_callback:
        return _failed(text, int(side.failed_callback), side)
    return Finding(kind=FrameKind.PASSED)


def _fault(fault: LinkFault, side: JudgeSide) -> Finding:
    return _limit(FrameKind.GONE if isinstance(fault, LinkClosed) else FrameKind.BROKEN, side)


def _limit(kind: FrameKind, side: JudgeSide) -> Finding:
    """Told by the call that it happened in."""
    return Finding(kind=kind, blind=side.last_call.call if side.last_call is not None else "")


def _finding(error: BaseException, text: str, side: JudgeSide) -> Finding:
    """What an exception that ended the test says of the program."""
    if side.fault is not None:
        return _fault(side.fault, side)
    if side.too_large or isinstance(error, ResultTooLarge):
        return _limit(FrameKind.TOO_LARGE, side)
    if isinstance(error, MemoryError):
        return _limit(FrameKind.MEMORY, side)
    told = side.told(error)
    if told is not None:
        return Finding(kind=FrameKind.RAISED, detail=told, blind=told)
    line = innermost_line(error.__traceback__, TEST)
    if isinstance(error, AssertionError):
        return _failed(text, line, side)
    return _raised(error, text, line, side)


def _failed(text: str, line: int, side: JudgeSide) -> Finding:
    blind = _last_call(side)
    assertion = one_line(_line_of(text, line))
    parts = [part for part in (blind, f"failed: {assertion}" if assertion else "") if part]
    return Finding(
        kind=FrameKind.FAILED,
        detail=", ".join(parts) or "a test failed",
        blind=blind or "a test failed",
    )


def _raised(error: BaseException, text: str, line: int, side: JudgeSide) -> Finding:
    """An exception of the test itself, e.g. a comparison that a wrong type does not allow."""
    name = type(error).__name__
    if isinstance(error, SyntaxError):
        line = error.lineno or 0
    blind = _last_call(side)
    source = one_line(_line_of(text, line))
    what = one_line(f"{name}: {message_of(error)}".removesuffix(": "))
    parts = [blind, what, f"in: {source}" if source else ""]
    return Finding(
        kind=FrameKind.RAISED,
        detail=", ".join(part for part in parts if part),
        blind=", ".join(part for part in (blind, f"{name} in a test") if part),
    )


def _last_call(side: JudgeSide) -> str:
    last = side.last_call
    return f"{last.call} {last.came_back}".strip() if last is not None else ""


def _line_of(text: str, line: int) -> str:
    lines = text.split("\n")
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""

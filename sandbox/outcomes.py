"""From what a contained child left behind to one result per test."""

import json
import signal
from dataclasses import dataclass

from redline.sandbox.codec import MalformedValue, decode
from redline.sandbox.compile import PlainTest
from redline.sandbox.describe import MAX_CALL_CHARS, cut
from redline.sandbox.frames import Frame, FrameKind, read_frames
from redline.sandbox.judge import judge_value
from redline.sandbox.records import InfrastructureError, TestResult, TestStatus
from redline.sandbox.server import RunOutput
from redline.sandbox.wire import EndCause, RunEnd

_PROGRAM = "the program"
_TEST = "a test"
_LAST = (FrameKind.GONE, FrameKind.BROKEN, FrameKind.MEMORY)
"""Findings after which a judge child ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTest:
    """A test that still has to run: taken apart, or whole."""

    index: int
    """Its place among the tests of the request."""
    text: str
    """What goes into the child: a call expression or the whole snippet."""
    plain: PlainTest | None

    @property
    def label(self) -> str:
        """What may be said of the test without telling what it expects."""
        return cut(self.text, MAX_CALL_CHARS) if self.plain is not None else "a test"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOutcome:
    """Results of one contained child, or of one pair."""

    results: tuple[TestResult, ...]
    """For the first tests that it was given; at least one, unless the program itself failed."""
    program_failure: TestResult | None
    """Set when setup or program failed, which then holds for every test."""


def read_outcome(output: RunOutput, tests: list[PendingTest]) -> ChildOutcome:
    """Judge what a candidate wrote and attribute its end to the test that it did not finish.

    The test after the last well-formed frame is the one that crashed, looped, or wrote nonsense;
    tests after that one have no result here and run again in another child.
    """
    frames, well_formed = read_frames(output.result, len(tests) + 1)
    failure = _program_failure(frames, well_formed, output.end)
    if failure is not None:
        return ChildOutcome(results=(), program_failure=failure)
    pairs = zip(tests, frames[1:], strict=False)
    results = [_result(test, frame) for test, frame in pairs]
    if len(results) < len(tests):
        results.append(_unfinished(output.end, well_formed, tests[len(results)].label))
    return ChildOutcome(results=tuple(results), program_failure=None)


def read_pair_outcome(
    candidate: RunOutput, judge: RunOutput, tests: list[PendingTest], tier: str
) -> ChildOutcome:
    """Read what a judge child found, and attribute an early end to the test that it came in.

    Raises `InfrastructureError` for an end of the judge child that no candidate can bring about.
    """
    loaded, well_formed = read_frames(candidate.result, 1)
    found, _ = read_frames(judge.result, len(tests))
    _check_judge(judge.end, tier)
    if not found:
        failure = _program_failure(loaded, well_formed or bool(loaded), candidate.end)
        if failure is not None:
            return ChildOutcome(results=(), program_failure=failure)
    share = candidate.end.cpu_seconds * 1e3 / max(1, len(found))
    results = [_found(frame, candidate.end, share) for frame in found]
    if len(results) < len(tests) and not (found and found[-1].kind in _LAST):
        by_itself = judge.end.cause is EndCause.EXIT  # it never heard of a candidate
        results.append(_gone(candidate.end, _TEST) if by_itself else _ended(judge.end, _TEST))
    return ChildOutcome(results=tuple(results), program_failure=None)


def not_run(reason: str) -> TestResult:
    """Result of a test that never started."""
    return _same(TestStatus.NOT_RUN, f"not run: {reason}")


def _result(test: PendingTest, frame: Frame) -> TestResult:
    if test.plain is not None and frame.kind is FrameKind.VALUE:
        try:
            value = decode(frame.body)
        except MalformedValue:
            return _protocol(test.label)
        return judge_value(test.plain, value, frame.cpu_ms)
    return _without_value(frame, test.label)


def _program_failure(frames: list[Frame], well_formed: bool, end: RunEnd) -> TestResult | None:
    """The result of every test where setup or program failed; None where they did not."""
    if not frames:
        return _unfinished(end, well_formed, _PROGRAM)
    if frames[0].kind is not FrameKind.LOADED:
        return _without_value(frames[0], _PROGRAM)
    return None


def _check_judge(end: RunEnd, tier: str) -> None:
    """A judge child ends by itself, or by a limit that the candidate's answers made it hit.

    Below the tiers that filter system calls a candidate of the same user can kill it.
    """
    failed = end.cause is EndCause.EXIT and end.code != 0
    killed = end.cause is EndCause.SIGNAL and end.code == signal.SIGKILL and tier != "none"
    if failed or killed:
        raise InfrastructureError(f"the judge child failed: {end.cause.name} {end.code}")


def _found(frame: Frame, candidate: RunEnd, share: float) -> TestResult:
    """The result for one finding of a judge child."""
    cpu_ms = frame.cpu_ms + share
    if frame.kind is FrameKind.PASSED:
        return TestResult(status=TestStatus.PASS, cpu_ms=cpu_ms)
    detail, blind = json.loads(frame.body)
    if frame.kind is FrameKind.GONE:
        return _gone(candidate, blind or _TEST)
    if frame.kind in (FrameKind.FAILED, FrameKind.RAISED):
        failed = frame.kind is FrameKind.FAILED
        return TestResult(
            status=TestStatus.FAIL if failed else TestStatus.EXCEPTION,
            detail=detail,
            detail_blind=blind,
            cpu_ms=cpu_ms,
        )
    return _without_value(Frame(kind=frame.kind, cpu_ms=cpu_ms, body=b""), blind or _TEST)


def _gone(candidate: RunEnd, label: str) -> TestResult:
    """The candidate left in the middle of a test: by its end, or by closing the link."""
    if candidate.cause is EndCause.OVER:
        return _protocol(label)
    return _ended(candidate, label)


def _without_value(frame: Frame, label: str) -> TestResult:
    """Result for a frame that stands for an exception or a limit, or for nonsense."""
    if frame.kind is FrameKind.RAISED:
        text = frame.body.decode("utf-8", "replace")
        return _same(TestStatus.EXCEPTION, text, frame.cpu_ms)
    if frame.kind is FrameKind.MEMORY:
        return _same(TestStatus.MEMORY, f"out of memory: {label}", frame.cpu_ms)
    if frame.kind is FrameKind.TOO_LARGE:
        return _same(TestStatus.OUTPUT, f"too large a result: {label}", frame.cpu_ms)
    return _protocol(label)


def _unfinished(end: RunEnd, well_formed: bool, label: str) -> TestResult:
    """Result of a test without a frame; a child that was killed may leave half of one."""
    if well_formed or end.cause is not EndCause.EXIT:
        return _ended(end, label)
    return _protocol(label)


def _protocol(label: str) -> TestResult:
    return _same(TestStatus.PROTOCOL, f"nonsense instead of a result: {label}")


def _ended(end: RunEnd, label: str) -> TestResult:
    """Result of the test during which the child ended."""
    cpu_ms = end.cpu_seconds * 1e3
    timed_out = end.cause in (EndCause.CPU, EndCause.WALL, EndCause.ABORTED)
    if timed_out or (end.cause is EndCause.SIGNAL and end.code in _TIMEOUT_SIGNALS):
        return _same(TestStatus.TIMEOUT, f"timeout: {label}", cpu_ms)
    if end.cause is EndCause.SIGNAL and end.code == signal.SIGXFSZ:
        return _same(TestStatus.OUTPUT, f"too much output: {label}", cpu_ms)
    if end.cause is EndCause.SIGNAL:
        return _same(TestStatus.CRASH, f"crash ({_signal_name(end.code)}): {label}", cpu_ms)
    return _same(TestStatus.CRASH, f"exit with status {end.code}: {label}", cpu_ms)


def _same(status: TestStatus, text: str, cpu_ms: float = 0.0) -> TestResult:
    """A result whose text tells nothing of what was expected."""
    return TestResult(status=status, detail=text, detail_blind=text, cpu_ms=cpu_ms)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_TIMEOUT_SIGNALS = (signal.SIGPROF, signal.SIGXCPU)

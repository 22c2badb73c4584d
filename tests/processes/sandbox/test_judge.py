"""Judging decoded values, frames of child processes, and the texts about both."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.sandbox.codec import DictValue, Opaque, SetValue, encode
from redline.sandbox.compile import compile_test
from redline.sandbox.frames import FrameKind, pack_frame, read_frames
from redline.sandbox.judge import judge_value
from redline.sandbox.outcomes import PendingTest, read_outcome, read_pair_outcome
from redline.sandbox.records import InfrastructureError, TestStatus
from redline.sandbox.server import RunOutput
from redline.sandbox.wire import EndCause, RunEnd, RunOrder

SCALAR = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.text(max_size=2)


@pytest.mark.parametrize("operator", ["==", "!=", "<", "<=", ">", ">=", "is", "is not"])
@given(value=SCALAR, expected=SCALAR, negated=st.booleans())
def test_a_verdict_is_what_python_says(operator, value, expected, negated):
    text = f"f(1) {operator} {expected!r}"
    test = compile_test(f"assert not {text}" if negated else f"assert {text}", "f")
    if test is None:
        assert operator not in ("==", "!=")
        return
    try:
        holds = eval(f"value {operator} expected", {"value": value, "expected": expected})
    except TypeError:
        holds = negated  # whatever comes of it, not a pass
    assert (judge_value(test, value).status is TestStatus.PASS) == (bool(holds) is not negated)


@pytest.mark.parametrize(
    ("test", "value", "detail"),
    [
        ("assert f(1) == 3", -1, "f(1) gave -1, expected 3"),
        ("assert not f(1) == 3", 3, "f(1) gave 3, expected not 3"),
        ("assert f(1) != 3", 3, "f(1) gave 3, expected != 3"),
        ("assert f(1) < 3", None, "f(1) gave None, expected < 3"),
        ("assert f(1) in [1, 2]", 3, "f(1) gave 3, expected in [1, 2]"),
        ("assert f(1)", 0, "f(1) gave 0, expected a true value"),
        ("assert not f(1)", [0], "f(1) gave [0], expected a false value"),
        ("assert f(1) is None", 0, "f(1) gave 0, expected None"),
        ("assert f(1) is not None", None, "f(1) gave None, expected is not None"),
        ("assert f(1) == 3", Opaque(type_name="Foo"), "f(1) gave a Foo object, expected 3"),
        ("assert f(1) == {1}", SetValue(items=(2, 1), frozen=False), "f(1) gave {1, 2}, expected "
         "{1}"),
        ("assert f(1) == {}", DictValue(items=((1, 2),)), "f(1) gave {1: 2}, expected {}"),
    ],
)  # fmt: skip
def test_a_failure_is_told_shortly(test, value, detail):
    result = judge_value(compile_test(test, "f"), value)
    assert result.status is TestStatus.FAIL
    assert result.detail == detail
    assert result.detail_blind == detail[: detail.index(", expected")]


def test_long_texts_are_cut():
    result = judge_value(compile_test(f"assert f({'x' * 99!r}) == {'y' * 99!r}", "f"), "z" * 999)
    assert len(result.detail) < 3 * 80 + 20
    assert result.detail.count("...") == 3


def test_membership_uses_the_judges_own_equality():
    test = compile_test("assert f(1) in [1, (2, 3)]", "f")
    assert judge_value(test, (2.0, 3)).status is TestStatus.PASS
    assert judge_value(test, math.nan).status is TestStatus.FAIL


@given(st.lists(st.tuples(st.sampled_from(FrameKind), st.floats(0, 1e6), st.binary(max_size=9))))
def test_frames_come_back(frames):
    data = b"".join(pack_frame(*frame) for frame in frames)
    back, well_formed = read_frames(data, len(frames))
    assert well_formed
    assert [(frame.kind, frame.cpu_ms, frame.body) for frame in back] == frames


@given(st.binary(max_size=200))
def test_any_result_file_gives_results(data):
    tests = [PendingTest(index=0, text="f()", plain=compile_test("assert f() == 7654321"))]
    output = RunOutput(end=RunEnd(cause=EndCause.EXIT, code=0, cpu_seconds=0.1), result=data)
    outcome = read_outcome(output, tests)
    assert outcome.program_failure is not None or len(outcome.results) == 1
    for result in outcome.results:
        assert result.status is not TestStatus.PASS


def read(*frames, cause=EndCause.EXIT, code=0, tests=2, tail=b""):
    pending = [
        PendingTest(index=n, text=f"f({n})", plain=compile_test(f"assert f({n}) == {n}"))
        for n in range(tests)
    ]
    data = b"".join(pack_frame(kind, 0.0, body) for kind, body in frames) + tail
    output = RunOutput(end=RunEnd(cause=cause, code=code, cpu_seconds=0.1), result=data)
    return read_outcome(output, pending)


@pytest.mark.parametrize(
    ("cause", "code", "status"),
    [
        (EndCause.CPU, 9, TestStatus.TIMEOUT),
        (EndCause.WALL, 9, TestStatus.TIMEOUT),
        (EndCause.SIGNAL, 27, TestStatus.TIMEOUT),
        (EndCause.SIGNAL, 24, TestStatus.TIMEOUT),
        (EndCause.SIGNAL, 25, TestStatus.OUTPUT),
        (EndCause.SIGNAL, 11, TestStatus.CRASH),
        (EndCause.SIGNAL, 64, TestStatus.CRASH),
        (EndCause.EXIT, 0, TestStatus.CRASH),
    ],
)
def test_a_childs_end_belongs_to_the_test_it_did_not_finish(cause, code, status):
    outcome = read(
        (FrameKind.LOADED, b""), (FrameKind.VALUE, encode(0, 99)), cause=cause, code=code, tests=3
    )
    assert [result.status for result in outcome.results] == [TestStatus.PASS, status]


def test_half_a_frame_of_a_killed_child_is_not_nonsense():
    loaded = (FrameKind.LOADED, b"")
    assert read(loaded, tail=b"x").results[0].status is TestStatus.PROTOCOL
    killed = read(loaded, tail=b"x", cause=EndCause.SIGNAL, code=25)
    assert killed.results[0].status is TestStatus.OUTPUT


@pytest.mark.parametrize("kind", [FrameKind.PASSED, FrameKind.FAILED, FrameKind.LOADED])
def test_a_frame_of_the_other_path_credits_nothing(kind):
    outcome = read((FrameKind.LOADED, b""), (kind, b""), tests=1)
    assert outcome.results[0].status is TestStatus.PROTOCOL


def read_pair(candidate, judge, *found, tests=2, tier="seccomp", loaded=True):
    """The outcome of a pair whose children ended like this."""
    pending = [PendingTest(index=n, text="t", plain=None) for n in range(tests)]
    frames = [pack_frame(kind, 0.0, b'["all", "some"]') for kind in found]
    outputs = [
        RunOutput(end=RunEnd(cause=cause, code=code, cpu_seconds=0.1), result=data)
        for (cause, code), data in (
            (candidate, pack_frame(FrameKind.LOADED, 0.0) if loaded else b""),
            (judge, b"".join(frames)),
        )
    ]
    return read_pair_outcome(*outputs, pending, tier)


DONE, OVER = (EndCause.EXIT, 0), (EndCause.OVER, 9)


@pytest.mark.parametrize(
    ("candidate", "judge", "found", "statuses"),
    [
        (OVER, DONE, [FrameKind.PASSED, FrameKind.FAILED], ["pass", "fail"]),
        (OVER, DONE, [FrameKind.RAISED, FrameKind.TOO_LARGE], ["exception", "output"]),
        (OVER, DONE, [FrameKind.GONE], ["protocol"]),
        (OVER, DONE, [FrameKind.PASSED, FrameKind.BROKEN], ["pass", "protocol"]),
        (DONE, DONE, [FrameKind.GONE], ["crash"]),
        ((EndCause.SIGNAL, 27), DONE, [FrameKind.GONE], ["timeout"]),
        ((EndCause.SIGNAL, 11), DONE, [FrameKind.GONE], ["crash"]),
        ((EndCause.SIGNAL, 25), DONE, [FrameKind.PASSED, FrameKind.GONE], ["pass", "output"]),
        (OVER, (EndCause.SIGNAL, 27), [FrameKind.PASSED], ["pass", "timeout"]),
        (OVER, (EndCause.CPU, 9), [], ["timeout"]),
        ((EndCause.WALL, 9), (EndCause.WALL, 9), [], ["timeout"]),
        (OVER, (EndCause.SIGNAL, 11), [], ["crash"]),
        (OVER, DONE, [], ["protocol"]),
        (DONE, DONE, [], ["crash"]),
    ],
)
def test_a_pairs_ends_belong_to_the_test_they_came_in(candidate, judge, found, statuses):
    outcome = read_pair(candidate, judge, *found)
    assert outcome.program_failure is None
    assert [result.status.value for result in outcome.results] == statuses


def test_a_program_that_does_not_load_is_no_test_of_a_pair():
    outcome = read_pair((EndCause.SIGNAL, 27), DONE, loaded=False)
    assert outcome.program_failure.status is TestStatus.TIMEOUT


def test_a_judge_killed_from_outside_is_no_verdict_where_no_candidate_can_kill():
    killed = (EndCause.SIGNAL, 9)
    for judge in (killed, (EndCause.EXIT, 1)):
        with pytest.raises(InfrastructureError, match="judge child failed"):
            read_pair(OVER, judge)
    assert read_pair(OVER, killed, tier="none").results[0].status is TestStatus.CRASH


def test_orders_and_ends_cross_the_wire():
    order = RunOrder(
        cpu_seconds=0.5, wall_seconds=2, memory_bytes=1 << 40, output_bytes=3, result_bytes=4
    )
    assert RunOrder.unpack_all(order.pack() * 2) == [order, order]
    end = RunEnd(cause=EndCause.WALL, code=9, cpu_seconds=0.25)
    assert RunEnd.unpack_all(end.pack() * 2) == [end, end]

"""The judge: compares what came back with what a plain test expects, outside the candidate.

All values are of exact builtin types or opaque, all costs bounded by the codec's caps: no code of
the candidate runs here, and no container of its making is ever hashed.
"""

import operator as python_operator
from collections.abc import Callable
from typing import Any

from redline.sandbox.canonical import Incomparable, TooCostly, Work, canonical
from redline.sandbox.codec import DictValue, SetValue
from redline.sandbox.compile import Operator, PlainTest
from redline.sandbox.describe import MAX_CALL_CHARS, MAX_VALUE_CHARS, cut, show
from redline.sandbox.records import TestResult, TestStatus

_ORDERINGS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.LT: python_operator.lt,
    Operator.LE: python_operator.le,
    Operator.GT: python_operator.gt,
    Operator.GE: python_operator.ge,
}


def judge_value(test: PlainTest, value: object, cpu_ms: float = 0.0) -> TestResult:
    """Result of a plain test whose call returned this decoded value."""
    try:
        truth = holds(test, value)
    except TooCostly as error:
        text = f"{error}: {cut(test.call, MAX_CALL_CHARS)}"
        return TestResult(status=TestStatus.OUTPUT, detail=text, detail_blind=text, cpu_ms=cpu_ms)
    if truth is not None and truth is not test.negated:
        return TestResult(status=TestStatus.PASS, cpu_ms=cpu_ms)
    blind = f"{cut(test.call, MAX_CALL_CHARS)} gave {show(value)}"
    return TestResult(
        status=TestStatus.FAIL,
        detail=f"{blind}, expected {cut(_expected_text(test), MAX_VALUE_CHARS)}",
        detail_blind=blind,
        cpu_ms=cpu_ms,
    )


def holds(test: PlainTest, value: object) -> bool | None:
    """Whether the assertion's comparison, before any `not`, is true of the value.

    None where Python would raise a TypeError, as for `None < 3`. Raises `TooCostly`.
    """
    expected = test.expected
    work = Work()
    match test.operator:
        case Operator.TRUTH:
            return is_true(value)
        case Operator.EQ:
            return equal(value, expected, work)
        case Operator.NE:
            return not equal(value, expected, work)
        case Operator.IN:
            return any(equal(value, each, work) for each in expected)
        case Operator.NOT_IN:
            return not any(equal(value, each, work) for each in expected)
        case Operator.IS:
            return value is expected
        case Operator.IS_NOT:
            return value is not expected
    numbers = (bool, int, float)
    comparable = type(value) in numbers if type(expected) in numbers else type(value) is str
    return _ORDERINGS[test.operator](value, expected) if comparable else None


def equal(left: object, right: object, work: Work | None = None) -> bool:
    """Python's `==` for decoded and builtin values, within a bounded cost; raises `TooCostly`."""
    work = work or Work()
    try:
        return canonical(left, work) == canonical(right, work)
    except Incomparable:
        return False


def is_true(value: object) -> bool:
    """Python's truth of a decoded value; objects of other types are true."""
    if isinstance(value, SetValue | DictValue):
        return bool(value.items)
    return bool(value)


def _expected_text(test: PlainTest) -> str:
    """What was expected, in the words of the test."""
    if test.operator is Operator.TRUTH:
        return "a false value" if test.negated else "a true value"
    prefix = "" if test.operator in (Operator.EQ, Operator.IS) else f"{test.operator.value} "
    return ("not " if test.negated else "") + prefix + test.expected_text

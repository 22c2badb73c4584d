"""Plain assertions, taken apart: what to call inside the sandbox, what to expect outside it.

`assert f(1, 2) == 3` becomes the call `f(1, 2)`, which goes to the candidate's process, and the
expectation `== 3`, which never does. A test that cannot be taken apart safely is left whole
(`compile_test` returns None) and runs in a judge child, which costs a second process. "Safely"
means that the call must not carry the expectation in its own arguments: of `assert
math.isclose(f(2), 3.14)` and `assert abs(f(2) - 3.14) < 1e-6` it would hand 3.14 to the candidate.
"""

import ast
import builtins
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from redline.sandbox.expectation import NotLiteral, literal_value
from redline.sandbox.scopes import bound_names

_MAX_TEST_CHARS = 20_000
_BUILTINS = frozenset(dir(builtins))
_WRAPPERS = frozenset(
    {
        *("abs", "all", "any", "bool", "bytes", "complex", "dict", "float", "frozenset", "int"),
        *("len", "list", "max", "min", "repr", "round", "set", "sorted", "str", "sum", "tuple"),
    }
)


class Operator(Enum):
    """How an observed value is compared; the value is the text between the two."""

    TRUTH = ""
    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "in"
    NOT_IN = "not in"
    IS = "is"
    IS_NOT = "is not"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainTest:
    """One assertion taken apart."""

    call: str
    """Expression evaluated in the candidate's process."""
    operator: Operator
    expected: Any
    """Right-hand side of the operator; None for `TRUTH`."""
    expected_text: str
    """The same as the test writes it."""
    negated: bool
    """Whether the assertion is `not (...)`."""


_COMPARISONS: dict[type[ast.cmpop], Operator] = {
    ast.Eq: Operator.EQ,
    ast.NotEq: Operator.NE,
    ast.Lt: Operator.LT,
    ast.LtE: Operator.LE,
    ast.Gt: Operator.GT,
    ast.GtE: Operator.GE,
    ast.In: Operator.IN,
    ast.NotIn: Operator.NOT_IN,
    ast.Is: Operator.IS,
    ast.IsNot: Operator.IS_NOT,
}
_FLIPPED = {
    Operator.EQ: Operator.EQ,
    Operator.NE: Operator.NE,
    Operator.LT: Operator.GT,
    Operator.LE: Operator.GE,
    Operator.GT: Operator.LT,
    Operator.GE: Operator.LE,
}
_ORDERINGS = (Operator.LT, Operator.LE, Operator.GT, Operator.GE)


@lru_cache(maxsize=65_536)
def compile_test(test: str, entry_point: str | None = None, setup: str = "") -> PlainTest | None:
    """Take a test apart, or None if it has to run whole.

    `entry_point` is the function the task asks for, if known; names bound by `setup` are helpers
    of the test, whose arguments may hold the expectation.
    """
    if len(test) > _MAX_TEST_CHARS:
        return None
    try:
        tree = ast.parse(test)
        helpers = _helpers(setup)
        match tree.body:
            case [ast.Assert(test=condition)]:
                return _Taker(entry_point, helpers).take(condition)
    except (SyntaxError, ValueError, RecursionError, MemoryError, NotLiteral, _NotPlain):
        pass
    return None


class _NotPlain(ValueError):
    """The assertion has to run whole."""


class _Taker:
    """Takes conditions apart for one entry point and one set of helper names."""

    def __init__(self, entry_point: str | None, helpers: frozenset[str]) -> None:
        self._entry_point = entry_point
        self._helpers = helpers

    def take(self, condition: ast.expr) -> PlainTest:
        """The parts of a condition; raises `_NotPlain` or `NotLiteral`."""
        negated = False
        while isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not):
            negated, condition = not negated, condition.operand
        operator, observed, expected = self._sides(condition)
        value = None if expected is None else literal_value(expected)
        _check_operand(operator, value)
        # A truth value is guessed, not known: there the call must be the candidate's own.
        guessable = operator is Operator.TRUTH or value is None or isinstance(value, bool)
        self._check_observed(observed, guessable)
        return PlainTest(
            call=_call_text(observed),
            operator=operator,
            expected=value,
            expected_text="" if expected is None else ast.unparse(expected),
            negated=negated,
        )

    @staticmethod
    def _sides(condition: ast.expr) -> tuple[Operator, ast.expr, ast.expr | None]:
        if not isinstance(condition, ast.Compare):
            return Operator.TRUTH, condition, None
        if len(condition.ops) != 1:
            raise _NotPlain
        operator = _COMPARISONS[type(condition.ops[0])]
        left, right = condition.left, condition.comparators[0]
        if operator in _FLIPPED and _is_literal(left):
            return _FLIPPED[operator], right, left
        return operator, left, right

    def _check_observed(self, node: ast.expr, guessable: bool) -> None:
        """Whether the expression is a candidate's call, perhaps inside harmless wrappers."""
        match node:
            case ast.Subscript(value=inner, slice=index):
                _check_constant(index)
                self._check_observed(inner, guessable)
            case ast.UnaryOp(operand=inner, op=ast.USub() | ast.UAdd() | ast.Invert()):
                self._check_observed(inner, guessable)
            case ast.Call(func=ast.Name(id=name)) if self._is_candidate(name):
                if guessable and name != self._entry_point and _has_call(node):
                    raise _NotPlain
            case ast.Call(func=ast.Name(id=name), args=[inner, *rest], keywords=keywords) if (
                name in _WRAPPERS
            ):
                extra = [*rest, *(keyword.value for keyword in keywords)]
                for argument in extra:
                    _check_constant(argument)
                if guessable and extra:
                    raise _NotPlain
                self._check_observed(inner, guessable)
            case ast.Call(func=ast.Attribute(value=inner, attr=method)) if (
                not guessable and not method.startswith("_")
            ):
                self._check_observed(inner, guessable)
            case _:
                raise _NotPlain

    def _is_candidate(self, name: str) -> bool:
        if name == self._entry_point:
            return True
        return name not in _BUILTINS and name not in self._helpers


def _check_operand(operator: Operator, value: Any) -> None:
    """Only operators that the judge can apply to this operand at a bounded cost."""
    if operator in _ORDERINGS:
        plain = type(value) in (int, float, bool, str)
    elif operator in (Operator.IN, Operator.NOT_IN):
        plain = type(value) in (list, tuple, set, frozenset)
    elif operator in (Operator.IS, Operator.IS_NOT):
        plain = value is None or isinstance(value, bool)
    else:
        plain = True
    if not plain:
        raise _NotPlain


def _check_constant(node: ast.expr) -> None:
    match node:
        case ast.Slice(lower=lower, upper=upper, step=step):
            for part in (lower, upper, step):
                if part is not None:
                    literal_value(part)
        case _:
            literal_value(node)


def _has_call(call: ast.Call) -> bool:
    """Whether an argument of the call calls something itself."""
    parts = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(isinstance(node, ast.Call) for part in parts for node in ast.walk(part))


def _is_literal(node: ast.expr) -> bool:
    try:
        literal_value(node)
    except NotLiteral:
        return False
    return True


def _call_text(node: ast.expr) -> str:
    text = ast.unparse(node)
    compile(text, "<test>", "eval")  # e.g. a `yield` in an argument: SyntaxError, runs whole
    return text


@lru_cache(maxsize=1024)
def _helpers(setup: str) -> frozenset[str]:
    """Names that the setup defines or imports."""
    return frozenset(bound_names(ast.parse(setup)))

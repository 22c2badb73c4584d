"""Expected values, evaluated from a test's text without running any of it.

Literals as `ast.literal_eval` takes them, and beyond it the constructors and bounded arithmetic
that tests are written with: `set((4, 5))`, `float("inf")`, `2**31 - 1`, `[0] * 5`.
"""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

_MAX_REPEATED = 10_000
_MAX_BITS = 20_000

_CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    kind.__name__: kind
    for kind in (
        bool, bytes, complex, dict, float, frozenset, int, list, range, set, str, tuple,
    )
}  # fmt: skip
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
_NUMBERS = (int, float, complex)


class NotLiteral(ValueError):
    """An expression whose value is not known without running it."""


def literal_value(node: ast.expr) -> Any:
    """The value of an expression of literals; raises `NotLiteral` for any other."""
    try:
        return _value(node)
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise NotLiteral(str(error)) from error


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value) if value is not Ellipsis:
            return value
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Dict(keys=keys, values=values):
            return {_key(key): _value(value) for key, value in zip(keys, values, strict=True)}
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _binary(op, _value(left), _value(right))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _CONSTRUCTORS:
            return _construct(name, [_value(argument) for argument in args])
        case ast.Attribute(value=ast.Name(id="math"), attr="pi" | "e" | "inf" | "nan" as name):
            return getattr(math, name)
    raise NotLiteral(f"not a literal: {ast.unparse(node)[:80]}")


def _key(node: ast.expr | None) -> Any:
    if node is None:
        raise NotLiteral("a dict display with **")
    return _value(node)


def _construct(name: str, arguments: list[Any]) -> Any:
    if name != "range" and arguments and isinstance(arguments[0], range):
        _check(len(arguments[0]) <= _MAX_REPEATED)
    if name == "bytes" and arguments and isinstance(arguments[0], int):
        _check(arguments[0] <= _MAX_REPEATED)
    return _CONSTRUCTORS[name](*arguments)


def _binary(op: ast.operator, left: Any, right: Any) -> Any:
    """Arithmetic whose cost is bounded: repetition and powers are capped."""
    if isinstance(op, ast.Mult) and not isinstance(left, _NUMBERS):
        _check(isinstance(right, int) and len(left) * right <= _MAX_REPEATED)
    elif isinstance(op, ast.Mult) and not isinstance(right, _NUMBERS):
        _check(isinstance(left, int) and len(right) * left <= _MAX_REPEATED)
    elif isinstance(op, ast.Pow):
        small = not (isinstance(left, int) and isinstance(right, int))
        _check(small or abs(left).bit_length() * abs(right) <= _MAX_BITS)
    elif isinstance(op, ast.Mod):
        _check(isinstance(left, _NUMBERS))  # not the formatting of strings
    return _BINARY[type(op)](left, right)


def _check(bounded: bool) -> None:
    if not bounded:
        raise NotLiteral("arithmetic without a bound")

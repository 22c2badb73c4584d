"""The function that tests ask for, where the data does not name it."""

import ast
import warnings
from collections.abc import Sequence


def entry_point_of(reference: str, tests: Sequence[str]) -> str | None:
    """The first function of the reference that the tests call; None if there is none."""
    defined = {
        node.name
        for node in _parse(reference).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for test in tests:
        for node in ast.walk(_parse(test)):
            match node:
                case ast.Call(func=ast.Name(id=name)) if name in defined:
                    return name
    return None


def _parse(text: str) -> ast.Module:
    """The syntax tree of a text; an empty one for what does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])

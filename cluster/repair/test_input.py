"""A user's program and tests, checked before anything is started for them."""

import ast
import json
from pathlib import Path

from redline.cluster.errors import UserError, one_line
from redline.cluster.output import read_text
from redline.sandbox.scopes import bound_names, loaded_names


def read_program(path: Path) -> str:
    """A program to run; UserError when it is empty or not Python."""
    text = read_text(path, "program")
    if not text.strip():
        raise UserError(f"program {path} is empty: there is nothing to test")
    parse(text, f"program {path}")
    return text


def read_tests(path: Path) -> tuple[str, ...]:
    """Tests of a file: one on each line, or, in a .json file, a list of strings.

    UserError when there is none, or naming the line or entry that is not Python.
    """
    text = read_text(path, "tests")
    if path.suffix == ".json":
        placed = [(f"entry {number}", test) for number, test in enumerate(_listed(path, text), 1)]
    else:
        placed = [(f"line {number}", test) for number, test in enumerate(text.splitlines(), 1)]
    placed = [(place, test) for place, test in placed if test.strip()]
    if not placed:
        raise UserError(f"{path}: no test in it")
    for place, test in placed:
        parse(test, f"{path}, {place}: the test")
    return tuple(test for _, test in placed)


def check_use(program: str, tests: tuple[str, ...], path: Path) -> None:
    """UserError naming the first test that uses nothing of the program: it would test nothing."""
    names = bound_names(ast.parse(program))
    if "*" in names:  # a star import: nobody knows what is there
        return
    for number, test in enumerate(tests, 1):
        if not loaded_names(ast.parse(test)) & names:
            raise UserError(
                f"{path}: test {number} of {len(tests)} never uses the program, which defines "
                f"{', '.join(sorted(names)[:5]) or 'nothing'}: {test.strip()[:80]!r}"
            )


def parse(text: str, what: str) -> None:
    """UserError naming `what` and the line when the text is not Python."""
    try:
        ast.parse(text)
    except SyntaxError as error:
        where = f" (line {error.lineno})" if error.lineno else ""
        raise UserError(f"{what} is not Python: {error.msg}{where}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{what} is not Python: {one_line(error) or 'too deep'}") from error


def _listed(path: Path, text: str) -> list[str]:
    try:
        tests = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON: {one_line(error)}") from error
    if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
        raise UserError(f"{path}: expected a JSON list of strings")
    return tests

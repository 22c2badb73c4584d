"""Exceptions as data between the two children: builtin ones as themselves, others by their name.

Loaded by the fork server; standard library only.
"""

import builtins
import re
from collections.abc import Callable
from types import TracebackType

PROGRAM, SETUP, TEST = "<program>", "<setup>", "<test>"
"""File names under which the three are compiled."""

MAX_TEXT = 300
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
_GROUPS = (BaseExceptionGroup,)


def error_type(name: object) -> type[BaseException] | None:
    """The builtin exception of this name; None if there is none that one message can make."""
    found = builtins.__dict__.get(name) if type(name) is str else None
    if isinstance(found, type) and issubclass(found, BaseException):
        return None if issubclass(found, _GROUPS) else found
    return None


def builtin_base(kind: type[BaseException]) -> type[BaseException]:
    """The nearest builtin exception that a class derives from."""
    for each in type.mro(kind):
        if each is error_type(type.__dict__["__name__"].__get__(each)):
            return each
    return Exception


def own_classes(kind: type[BaseException]) -> list[type]:
    """The program's exception classes in a class's ancestry, itself first."""
    base = builtin_base(kind)
    mro = type.mro(kind)
    own = mro[: mro.index(base)] if base in mro else []
    return [each for each in own if issubclass(each, BaseException)]


def build_error(kind: type[BaseException], args: tuple[object, ...]) -> BaseException:
    """An exception of this type with these arguments, whatever its constructor says to them."""
    try:
        error = kind(*args)
    except Exception:  # noqa: BLE001 - e.g. UnicodeDecodeError wants five arguments
        error = kind.__new__(kind)
    error.args = args
    return error


def message_of(error: BaseException) -> str:
    """The text of an exception; empty where its own `__str__` fails."""
    if isinstance(error, RecursionError):
        return "maximum recursion depth exceeded"  # the rest depends on where it happened
    try:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
        return message[: 4 * MAX_TEXT] if type(message) is str else ""
    except BaseException:  # noqa: BLE001 - the candidate's own __str__
        return ""


def program_line(error: BaseException) -> int:
    """Innermost line of the program that an exception came through; 0 if none."""
    line = innermost_line(error.__traceback__, PROGRAM)
    if isinstance(error, SyntaxError) and error.filename == PROGRAM:
        return error.lineno or 0
    return line


def innermost_line(trace: TracebackType | None, file: str) -> int:
    """Innermost line of this file in a traceback; 0 if none."""
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def error_text(name: str, message: str, line: int, limit: int = MAX_TEXT) -> str:
    """`Type: message (line 3)` in one capped line."""
    text = one_line(name + (f": {message}" if message else ""), limit)
    return text + (f" (line {line})" if line else "")


def one_line(text: str, limit: int = MAX_TEXT) -> str:
    """One capped line without addresses, which differ from run to run."""
    line = " ".join(_ADDRESS.sub("0x...", text[: 4 * limit]).split())
    return line[:limit].encode("utf-8", "replace").decode()


def safely(read: Callable[[], str], default: str) -> str:
    """A text that the program's own code may refuse to give."""
    try:
        text = read()
    except BaseException:  # noqa: BLE001 - properties of hostile classes
        return default
    return text if type(text) is str else default

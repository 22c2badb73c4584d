"""What became of a program in one word."""

import warnings

from redline.sandbox.records import TestStatus, Verdict

SYNTAX = "syntax"
"""Status of a program that the compiler refuses; the others are those of the first failing test."""


def first_status(verdict: Verdict) -> str:
    """Status of the first test that did not pass; `pass` if all did."""
    failing = (test.status for test in verdict.tests if test.status is not TestStatus.PASS)
    return str(next(failing, TestStatus.PASS))


def syntax_error(program: str) -> SyntaxError | None:
    """What the compiler says against a program; None if it has to be executed to know."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(program, "<program>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError, OverflowError):
        return None
    return None


def status_of(program: str, verdict: Verdict) -> str:
    """`pass`, `syntax`, or the status of the first failing test."""
    return first_status(verdict) if syntax_error(program) is None else SYNTAX

"""Errors that end a command with one line instead of a traceback."""


class UserError(Exception):
    """Wrong usage or input: what was given, what was expected, what to change. Exit status 2."""

    exit_code = 2


class WorkFailed(Exception):
    """The work itself failed (a worker died, a deadline passed). Exit status 1."""

    exit_code = 1


def one_line(error: BaseException) -> str:
    """The message of an error on a single line, its type named when the message is empty."""
    text = " ".join(str(error).split())
    return text or type(error).__name__

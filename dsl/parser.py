"""From text to command. Strict: it accepts exactly the `command` rule of `grammar.ebnf`."""

import re

from redline.dsl.commands import (
    LAST_LINE,
    AddLine,
    Command,
    DeleteLine,
    Exit,
    MalformedCommand,
    ReplaceLine,
    ReplaceWord,
)
from redline.dsl.escaping import unescape

_USAGE = {
    "ADDL": "ADDL n >>>content",
    "DELL": "DELL n",
    "REPL": "REPL n >>>content",
    "REPW": "REPW n >>>old >>>new",
    "EXIT": "EXIT",
}
_NUMBER = r"(0|[1-9][0-9]*)"
_DELETE = re.compile(rf"DELL {_NUMBER}")
_WITH_CONTENT = re.compile(rf"(ADDL|REPL) {_NUMBER} >>>([^\n]*)")
_WITH_WORDS = re.compile(rf"REPW {_NUMBER} >>>([^\n]*?) >>>([^\n]*)")


def parse(text: str) -> Command | MalformedCommand:
    """Read one command, given without the newline that ended it.

    Nothing is trimmed and nothing is guessed: `EXIT ` or `DELL 3\\r` is malformed, while
    operands are kept to the last character. A line number above `LAST_LINE` reads as
    `LAST_LINE`.
    """
    if text == "EXIT":
        return Exit()
    if found := _WITH_CONTENT.fullmatch(text):
        kind = AddLine if found[1] == "ADDL" else ReplaceLine
        return kind(_line_number(found[2]), found[3])
    if found := _DELETE.fullmatch(text):
        return DeleteLine(_line_number(found[1]))
    if found := _WITH_WORDS.fullmatch(text):
        return ReplaceWord(_line_number(found[1]), unescape(found[2]), found[3])
    return MalformedCommand(_explain(text))


def _line_number(digits: str) -> int:
    """Convert, saturating before `int` could meet its limit on the length of digits."""
    if len(digits) > len(str(LAST_LINE)):
        return LAST_LINE
    return int(digits)


def _explain(text: str) -> str:
    """Say how the command that was probably meant is spelled."""
    if "\n" in text:
        return "error: a command is one line"
    name = text.split(" ", 1)[0].rstrip()
    if name in _USAGE:
        return f"error: malformed {name}, write: {_USAGE[name]}"
    return "error: unknown command, write ADDL, DELL, REPL, REPW or EXIT"

"""The five commands of the editor, and the two ways in which a command can fail.

    ADDL n >>>content      insert content so that it becomes line n
    DELL n                 delete line n
    REPL n >>>content      replace line n
    REPW n >>>old >>>new   replace every occurrence of the string old in line n
    EXIT                   end the episode

(Rainone et al., arXiv 2507.05065; the exact spelling is in `grammar.ebnf`.)

Lines are numbered from 1. A program is text, its lines are `text.split("\\n")`, and no operand
holds a newline: such a command could not be written on one line, so it cannot be constructed.
"""

from dataclasses import dataclass
from typing import TypeAlias

LAST_LINE = 999_999_999
"""Highest line number. Anything above reads as this one: no program is that long, so the
command is impossible either way, and a number of 5,000 digits costs nothing."""


@dataclass(frozen=True, slots=True)
class AddLine:
    """`ADDL line >>>content`: insert `content` so that it becomes line `line`."""

    line: int
    content: str

    def __post_init__(self) -> None:
        _check_line(self.line)
        _check_text(self.content)


@dataclass(frozen=True, slots=True)
class DeleteLine:
    """`DELL line`: delete line `line`."""

    line: int

    def __post_init__(self) -> None:
        _check_line(self.line)


@dataclass(frozen=True, slots=True)
class ReplaceLine:
    """`REPL line >>>content`: replace line `line` by `content`."""

    line: int
    content: str

    def __post_init__(self) -> None:
        _check_line(self.line)
        _check_text(self.content)


@dataclass(frozen=True, slots=True)
class ReplaceWord:
    """`REPW line >>>old >>>new`: replace every occurrence of `old` in line `line` by `new`.

    A "word" is any string. An empty `old` is well-formed, but impossible to apply.
    """

    line: int
    old: str
    new: str

    def __post_init__(self) -> None:
        _check_line(self.line)
        _check_text(self.old)
        _check_text(self.new)


@dataclass(frozen=True, slots=True)
class Exit:
    """`EXIT`: end the episode and leave the program as it is."""


Command: TypeAlias = AddLine | DeleteLine | ReplaceLine | ReplaceWord | Exit


@dataclass(frozen=True, slots=True)
class MalformedCommand:
    """What `parse` answers to text that is no command.

    `reason` is one short line that starts with `error: `, ready to be shown to the policy as
    feedback; the same text always gets the same reason.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class ImpossibleCommand:
    """What `apply` answers to a command that does not fit the program.

    `reason` is one short line such as `error: no line 12 (the program has 4 lines)`, ready to
    be shown to the policy as feedback; the same command on the same program always gets the
    same reason.
    """

    reason: str


def _check_line(line: int) -> None:
    if not 0 <= line <= LAST_LINE:
        raise ValueError(f"line number: got {line}, expected 0 to {LAST_LINE}")


def _check_text(text: str) -> None:
    if "\n" in text:
        raise ValueError(f"operand of a command: got {text!r}, expected text without a newline")

"""A program before and after a command as one coloured block: numbered, highlighted, inline.

Changed lines carry `-` and `+` signs, so that the view reads the same without colours.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate, zip_longest

from rich.style import Style
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from redline.replay.visible import visible

_THEME = "github-dark"
_PLAIN = Style(bgcolor="#21252b")
_REMOVED = Style(bgcolor="#43262d")
_ADDED = Style(bgcolor="#20402f")
_REMOVED_WORD = Style(bgcolor="#7d3440")
_ADDED_WORD = Style(bgcolor="#2c6e49")
_BACKGROUNDS = {"-": _REMOVED, "+": _ADDED, " ": _PLAIN}
_CODE = Style(color="#e6edf3")
_NUMBER = Style(color="#7f8794")
_SIGNS = {
    "-": Style(color="#ff7b86", bold=True),
    "+": Style(color="#7ee2a0", bold=True),
    " ": Style(),
}

_WORDS = re.compile(r"\w+|\s+|.", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    sign: str
    number: int
    text: str
    changed: tuple[tuple[int, int], ...] = ()
    """Character spans that differ from the line's counterpart."""


def render_program(program: str) -> Table:
    """A program with line numbers."""
    return render_diff(program, program)


def render_diff(before: str, after: str) -> Table:
    """`after` with what was removed from `before` shown above what took its place."""
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=1)
    grid.add_column(justify="right", width=3)
    grid.add_column(ratio=1, overflow="fold")
    for line in _diff_lines(visible(before).split("\n"), visible(after).split("\n")):
        grid.add_row(
            Text(line.sign, _SIGNS[line.sign]),
            Text(str(line.number), _NUMBER),
            _highlight(line),
            style=_BACKGROUNDS[line.sign],
        )
    return grid


def _diff_lines(before: Sequence[str], after: Sequence[str]) -> Iterator[_Line]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, a0, a1, b0, b1 in matcher.get_opcodes():
        if kind == "equal":
            for number in range(b0, b1):
                yield _Line(sign=" ", number=number + 1, text=after[number])
            continue
        for a, b in zip_longest(range(a0, a1), range(b0, b1)):
            old = None if a is None else before[a]
            new = None if b is None else after[b]
            removed, added = _changed_spans(old, new)
            if old is not None:
                yield _Line(sign="-", number=a + 1, text=old, changed=removed)
            if new is not None:
                yield _Line(sign="+", number=b + 1, text=new, changed=added)


def _changed_spans(
    old: str | None, new: str | None
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """Where two versions of a line differ; nothing when they have little in common."""
    if old is None or new is None:
        return (), ()
    old_words, new_words = _WORDS.findall(old), _WORDS.findall(new)
    matcher = SequenceMatcher(None, old_words, new_words, autojunk=False)
    if matcher.ratio() < 0.5:
        return (), ()
    old_at = [0, *accumulate(map(len, old_words))]
    new_at = [0, *accumulate(map(len, new_words))]
    changes = [codes for codes in matcher.get_opcodes() if codes[0] != "equal"]
    return (
        tuple((old_at[a0], old_at[a1]) for _, a0, a1, _, _ in changes),
        tuple((new_at[b0], new_at[b1]) for _, _, _, b0, b1 in changes),
    )


def _highlight(line: _Line) -> Text:
    text = Syntax("", "python", theme=_THEME).highlight(line.text)[:-1]  # it ends in a newline
    if text.plain != line.text:
        text = Text(line.text)  # tabs were expanded, which would shift the spans
    text.style = _CODE + _BACKGROUNDS[line.sign]
    text.stylize(_BACKGROUNDS[line.sign])
    word = _REMOVED_WORD if line.sign == "-" else _ADDED_WORD
    for start, stop in line.changed:
        text.stylize(word, start, stop)
    return text

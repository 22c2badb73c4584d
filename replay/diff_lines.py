"""A program before and after a command, line by line, with the words that differ."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate, zip_longest

_WORDS = re.compile(r"\w+|\s+|.", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffLine:
    """One line of a diff."""

    sign: str
    """`-` for a line of before, `+` for one of after, a space for one of both."""
    number: int
    """Counted from 1, in before for a removed line, else in after."""
    text: str
    changed: tuple[tuple[int, int], ...] = ()
    """Character spans (start, stop) that differ from the line's counterpart."""


def diff_lines(before: str, after: str) -> Iterator[DiffLine]:
    """Every line of `after`, what was removed of `before` above what took its place."""
    yield from _lines(before.split("\n"), after.split("\n"))


def _lines(before: Sequence[str], after: Sequence[str]) -> Iterator[DiffLine]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, a0, a1, b0, b1 in matcher.get_opcodes():
        if kind == "equal":
            for number in range(b0, b1):
                yield DiffLine(sign=" ", number=number + 1, text=after[number])
            continue
        for a, b in zip_longest(range(a0, a1), range(b0, b1)):
            old = None if a is None else before[a]
            new = None if b is None else after[b]
            removed, added = _changed_spans(old, new)
            if old is not None:
                yield DiffLine(sign="-", number=a + 1, text=old, changed=removed)
            if new is not None:
                yield DiffLine(sign="+", number=b + 1, text=new, changed=added)


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

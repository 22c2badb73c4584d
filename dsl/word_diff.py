"""The word edit that turns one line into another, where there is one worth writing.

`REPW n >>>old >>>new` replaces every occurrence of `old`, so one command may rename a variable
all over a line. Names and operators are never cut: `num1` for `num2`, not `1` for `2`.
"""

from itertools import pairwise

from redline.dsl.escaping import escape

_OPERATOR = frozenset("<>=!+-*/%&|^~@:")
_SEPARATOR = " >>>"
_LONGEST = 120
"""Characters of `old` at most; beyond that replacing the line is as good."""


def word_edit(line: str, target: str) -> tuple[str, str] | None:
    """The shortest `(old, new)` for which `line.replace(old, new) == target`.

    None if writing it takes no fewer characters than `target` itself, as REPL would. Of equally
    short ones the one with the shortest `old` is taken, then the one nearest to the change.
    """
    same = _common_prefix(line, target)
    edges = _edges(line)
    starts = [edge for edge in reversed(edges) if same - _LONGEST <= edge <= same]
    ends = [edge for edge in edges if same <= edge <= same + _LONGEST]
    best: tuple[str, str] | None = None
    limit = len(target) - len(_SEPARATOR), 0
    for start in starts:
        for end in ends:
            old = line[start:end]
            if len(old) > limit[0]:
                break
            new = _counterpart(line, target, old, start)
            if new is None:
                continue
            cost = len(escape(old)) + len(new), len(old)
            if cost < limit:
                best, limit = (old, new), cost
    return best


def _counterpart(line: str, target: str, old: str, start: int) -> str | None:
    """What every occurrence of `old`, the first of which is at `start`, has become."""
    count = line.count(old) if old else 0
    if count == 0 or (len(target) - len(line)) % count:
        return None
    length = len(old) + (len(target) - len(line)) // count
    if length < 0:
        return None
    new = target[start : start + length]
    return new if line.replace(old, new) == target else None


def _edges(line: str) -> list[int]:
    """Places where a word may start or end: anywhere but inside a name or an operator."""
    inner = [
        index
        for index, (left, right) in enumerate(pairwise(line), start=1)
        if _class_of(left) != _class_of(right) or _class_of(left) == ""
    ]
    return [0, *inner, len(line)] if line else [0]


def _class_of(character: str) -> str:
    if character.isalnum() or character == "_":
        return "name"
    return "operator" if character in _OPERATOR else ""


def _common_prefix(left: str, right: str) -> int:
    count = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        count += 1
    return count

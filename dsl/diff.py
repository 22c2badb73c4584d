"""The shortest list of commands that turns one program into another.

The number of commands is the Levenshtein distance between the two lists of lines, ADDL, DELL and
a replaced line at one each (Wagner and Fischer, 1974). A longest common subsequence would not do:
it keeps a common line even where replacing past it takes fewer commands. Of the lists with that
many commands one that writes few characters is taken, so that a line becomes the one it resembles;
and a replaced line is written as REPW where that is shorter than REPL.
"""

import numpy as np
from numpy.typing import NDArray

from redline.dsl.commands import AddLine, Command, DeleteLine, Exit, ReplaceLine, ReplaceWord
from redline.dsl.word_diff import word_edit

_COMMAND = 1 << 40
"""Cost of one command; the characters that it writes add one each and never outweigh it."""
_MAX_COMPARED = 40_000
"""Pairs of lines that are compared character by character; beyond that only the number of
commands counts."""


def diff(broken: str, fixed: str) -> list[Command]:
    """Return commands that turn `broken` into `fixed` when applied in order; the last is EXIT.

    Works for any two strings, from the top down, with as few commands as lines allow; the
    same strings give the same commands. Time and memory grow with the product of the lines
    between the first and the last difference: 1,000 by 1,000 take some 20 ms and 8 MB.
    """
    old, new = broken.split("\n"), fixed.split("\n")
    same = _common_prefix(old, new)
    tail = _common_prefix(old[same:][::-1], new[same:][::-1])
    old, new = old[same : len(old) - tail], new[same : len(new) - tail]

    replacing = _costs_of_replacing(old, new)
    adding = np.array([_COMMAND + len(line) for line in new], dtype=np.int64)
    distance = _suffix_distances(replacing, adding)
    commands: list[Command] = []
    i = j = 0
    while i < len(old) or j < len(new):
        here = distance[i, j]
        # Every line above is as in `fixed` by now, so `j` also counts the lines above.
        number = same + j + 1
        if i < len(old) and j < len(new) and here == replacing[i, j] + distance[i + 1, j + 1]:
            if old[i] != new[j]:
                commands.append(_replace(number, old[i], new[j]))
            i, j = i + 1, j + 1
        elif i < len(old) and here == _COMMAND + distance[i + 1, j]:
            commands.append(DeleteLine(number))
            i += 1
        else:
            commands.append(AddLine(number, new[j]))
            j += 1
    return [*commands, Exit()]


def _replace(number: int, old: str, new: str) -> ReplaceLine | ReplaceWord:
    """The shorter of the two commands that turn one line into another."""
    found = word_edit(old, new)
    return ReplaceLine(number, new) if found is None else ReplaceWord(number, *found)


def _common_prefix(left: list[str] | str, right: list[str] | str) -> int:
    """Count the equal lines (or characters) at the start of both."""
    count = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        count += 1
    return count


def _costs_of_replacing(old: list[str], new: list[str]) -> NDArray[np.int64]:
    """Return `c` of shape (len(old), len(new)): `c[i, j]` turns line old[i] into new[j]."""
    numbers = {line: n for n, line in enumerate(dict.fromkeys(old + new))}
    old_ids = np.array([numbers[line] for line in old], dtype=np.int64)
    new_ids = np.array([numbers[line] for line in new], dtype=np.int64)
    unequal = old_ids[:, None] != new_ids[None, :]
    if unequal.size > _MAX_COMPARED:
        return unequal * np.int64(_COMMAND)
    written = np.array([[_written(a, b) for b in new] for a in old], dtype=np.int64)
    return unequal * (_COMMAND + written.reshape(unequal.shape))


def _written(old: str, new: str) -> int:
    """About how many characters it takes to write the change of a line."""
    start = _common_prefix(old, new)
    end = _common_prefix(old[start:][::-1], new[start:][::-1])
    changed = len(old) + len(new) - 2 * (start + end)
    return min(len(new), changed)


def _suffix_distances(replacing: NDArray[np.int64], adding: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `d` of shape (lines of old + 1, lines of new + 1): `d[i, j]` is the cost of turning
    old[i:] into new[j:].

    One row at a time: replacing and deleting look only at the row below, and adding, which
    looks along the row, is a running minimum once each entry has its column subtracted.
    """
    rows, columns = replacing.shape
    to_end = np.zeros(columns + 1, dtype=np.int64)  # cost of adding the rest of new
    to_end[:-1] = np.cumsum(adding[::-1])[::-1]
    distance = np.empty((rows + 1, columns + 1), dtype=np.int64)
    distance[-1] = to_end
    for i in range(rows - 1, -1, -1):
        below = distance[i + 1]
        row = below + _COMMAND
        np.minimum(row[:-1], below[1:] + replacing[i], out=row[:-1])
        slack = (row - to_end)[::-1]
        distance[i] = np.minimum.accumulate(slack)[::-1] + to_end
    return distance

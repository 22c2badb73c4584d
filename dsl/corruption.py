"""Random edits that break a correct program, with the commands that undo them exactly.

Stage 1 of Rainone et al. (arXiv 2507.05065): delete, add or replace a line, or replace a word.
Lines come from other programs (`donors`), are indented to fit their new place and open a block
only in the place of a line that did: after one edit about three programs in four still parse and
fail in what they do.
Words are exchanged for words of the same kind; the rest of the line stays exactly as it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from redline.dsl.commands import AddLine, Command, DeleteLine, ReplaceLine, ReplaceWord
from redline.dsl.settings import CorruptionSettings
from redline.dsl.word_edits import exchange_word

ORDERS = ("top_down", "random")
_MAX_ATTEMPTS = 100
_MAX_DRAWS = 20


class EditKind(StrEnum):
    """What one random edit does to the program."""

    DELETE = "delete"
    ADD = "add"
    REPLACE_LINE = "replace_line"
    REPLACE_WORD = "replace_word"


class CorruptionError(ValueError):
    """No sequence of edits was found that changes the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corruption:
    """A broken program and its way back."""

    broken: str
    repair: tuple[Command, ...]
    """Applied in order to `broken`, gives the program that was corrupted; without EXIT."""
    kinds: tuple[EditKind, ...]
    """Kinds of the edits in the order in which they broke the program."""


def corrupt(
    program: str,
    rng: Random,
    num_edits: int,
    donors: Sequence[str],
    settings: CorruptionSettings | None = None,
) -> Corruption:
    """Break `program` by `num_edits` random edits; the result always differs from it.

    Raises CorruptionError when that cannot be done, for example with a share of 1 for deletions
    and a program of one line, and ValueError for settings without sense.
    """
    chosen = settings or CorruptionSettings()
    weights = _weights(chosen)
    if num_edits < 1 or not donors:
        raise ValueError(f"corrupt: got {num_edits} edits, {len(donors)} donors; expected >= 1")
    for _ in range(_MAX_ATTEMPTS):
        plan = _plan(len(program.split("\n")), rng, num_edits, weights, chosen.order)
        found = _carry_out(program, rng, plan, donors)
        if found is not None and found.broken != program:
            return found
    raise CorruptionError(
        f"no {num_edits} edits found that change the program and can be undone; "
        f"allow other kinds of edit or give more donors; program: {program!r}"
    )


def _weights(settings: CorruptionSettings) -> list[float]:
    """Shares of the kinds in the order of `EditKind`; checks the settings."""
    weights = [settings.delete, settings.add, settings.replace_line, settings.replace_word]
    if min(weights) < 0 or sum(weights) <= 0 or settings.order not in ORDERS:
        raise ValueError(
            f"corruption settings: got shares {weights} and order {settings.order!r}, expected "
            f"shares >= 0 that are not all 0 and one of {', '.join(ORDERS)}"
        )
    return weights


def _plan(
    length: int, rng: Random, num_edits: int, weights: list[float], order: str
) -> list[tuple[EditKind, int | None]]:
    """Kind and row (from 0) of each edit; no row where the order leaves it open."""
    kinds = rng.choices(list(EditKind), weights, k=num_edits)
    if order == "random":
        return [(kind, None) for kind in kinds]
    rows = rng.sample(range(length), min(num_edits, length))
    rows += rng.choices(range(length), k=num_edits - len(rows))
    # Broken from the bottom up, a program is repaired from the top down.
    return list(zip(kinds, sorted(rows, reverse=True), strict=True))


def _carry_out(
    program: str, rng: Random, plan: list[tuple[EditKind, int | None]], donors: Sequence[str]
) -> Corruption | None:
    """Apply the planned edits; None if one of them cannot be done."""
    lines = program.split("\n")
    undo: list[Command] = []
    for kind, planned in plan:
        row = rng.randrange(len(lines)) if planned is None else min(planned, len(lines) - 1)
        if kind is EditKind.ADD and row == len(lines) - 1 and rng.random() < 0.5:
            row += 1
        command = _edit(lines, row, kind, rng, donors)
        if command is None:
            return None
        undo.append(command)
    kinds = tuple(kind for kind, _ in plan)
    return Corruption(broken="\n".join(lines), repair=tuple(reversed(undo)), kinds=kinds)


def _edit(
    lines: list[str], row: int, kind: EditKind, rng: Random, donors: Sequence[str]
) -> Command | None:
    """Change `lines` in place at `row` (from 0); return the command that undoes it, or None."""
    if kind is EditKind.DELETE:
        return AddLine(row + 1, lines.pop(row)) if len(lines) > 1 else None
    if kind is EditKind.ADD:
        neighbour = lines[min(row, len(lines) - 1)]
        lines.insert(row, _donor_line(neighbour, False, rng, donors))
        return DeleteLine(row + 1)
    old = lines[row]
    if kind is EditKind.REPLACE_LINE:
        lines[row] = _donor_line(old, _opens_block(old), rng, donors)
        return ReplaceLine(row + 1, old) if lines[row] != old else None
    found = exchange_word(old, rng, program="\n".join(lines), donor=rng.choice(donors))
    if found is None:
        return None
    lines[row] = found.line
    return ReplaceWord(row + 1, found.new, found.old)


def _donor_line(neighbour: str, opens_block: bool, rng: Random, donors: Sequence[str]) -> str:
    """A line of another program, indented like `neighbour`, that opens a block or does not.

    After some draws in vain any line will do.
    """
    line = ""
    for _ in range(_MAX_DRAWS):
        line = rng.choice(rng.choice(donors).split("\n"))
        if _opens_block(line) == opens_block:
            break
    return neighbour[: len(neighbour) - len(neighbour.lstrip())] + line.lstrip()


def _opens_block(line: str) -> bool:
    return line.rstrip().endswith(":")

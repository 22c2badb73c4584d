"""Python source as coloured pieces, line by line; nothing of it is HTML yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from pygments.lexers.python import PythonLexer
from pygments.token import STANDARD_TYPES

Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring characters of one line that look alike."""

    text: str
    kind: str
    """Pygments' short name of the token's kind, such as `k` for a keyword; may be empty."""
    changed: bool = False
    """Whether it differs from the line's counterpart."""


@lru_cache(maxsize=256)
def highlight_lines(program: str) -> tuple[tuple[Piece, ...], ...]:
    """The pieces of every line of `program.split("\\n")`, in order."""
    lines: list[list[Piece]] = [[]]
    for _, token, text in PythonLexer().get_tokens_unprocessed(program):
        first, *rest = text.split("\n")
        kind = STANDARD_TYPES.get(token, "")
        lines[-1].append(Piece(first, kind))
        lines.extend([Piece(part, kind)] for part in rest)
    return tuple(tuple(piece for piece in line if piece.text) for line in lines)


def mark_changed(pieces: Sequence[Piece], spans: Spans) -> tuple[Piece, ...]:
    """The pieces, cut at the ends of the rising character spans, those inside marked."""
    cuts = sorted({edge for span in spans for edge in span})
    marked: list[Piece] = []
    start = 0
    for piece in pieces:
        stop = start + len(piece.text)
        edges = [start, *(cut for cut in cuts if start < cut < stop), stop]
        for a, b in pairwise(edges):
            inside = any(low <= a and b <= high for low, high in spans)
            marked.append(Piece(piece.text[a - start : b - start], piece.kind, inside))
        start = stop
    return tuple(marked)

"""One finished demonstration, and how the text of it becomes tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redline.dsl.corruption import EditKind
from redline.dsl.demonstrations import Demonstration, RenderedTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedTurns:
    """The tokens of a demonstration and which of them the policy is to write."""

    token_ids: tuple[int, ...]
    is_action: tuple[bool, ...]
    """One entry per token: true for the tokens of commands, on which the loss is taken."""


Encode = Callable[[Sequence[RenderedTurn]], EncodedTurns]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeDemonstration:
    """A verified demonstration with everything that is written of it."""

    demonstration: Demonstration
    kinds: tuple[EditKind, ...]
    """Kinds of the random edits; empty for a demonstration by diff."""
    turns: tuple[RenderedTurn, ...]
    statuses: tuple[str, ...]
    """Of the program before each command; the last one is `pass`."""
    edit_distance: int
    """Levenshtein distance in characters from the broken program to the last one."""
    encoded: EncodedTurns | None = None

"""What a model's programs came to, as counts that can be added up."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from redline.cluster.counts import Counts, shares

PAPER_EDIT_DISTANCE = 136
"""Mean edit distance of the wrong programs of Rainone et al. (arXiv 2507.05065)."""
PAPER_ASSERTIONS = 0.81
"""Share of theirs that fail on an assertion."""

PASSING, REPEATED = "pass all tests", "written before"
UNFINISHED, EMPTY = "cut off at the token limit", "empty"
TOO_LONG, ABORTED = "prompt longer than the context", "aborted"


@dataclass(slots=True, kw_only=True)
class WrongCounts(Counts):
    """Counts over samples."""

    tasks: int = 0
    """Tasks that were sampled."""
    tasks_with_wrong: int = 0
    samples: int = 0
    kept: int = 0
    """Different wrong programs."""
    tokens: int = 0
    """Tokens sampled."""
    edit_distance: int = 0
    """Sum over those kept with a reference of the Levenshtein distance to it, in characters."""
    with_reference: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    """Status of a wrong program -> programs."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Reason -> samples that were not kept."""


def figures(counts: WrongCounts) -> dict[str, Any]:
    """What `redline tasks wrong` reports."""
    raw = counts.to_json()
    failing = sum(counts.dropped[reason] for reason in (PASSING, REPEATED, UNFINISHED, EMPTY))
    return {
        "wrong": counts.kept,
        "tasks": counts.tasks,
        "tasks_with_wrong": counts.tasks_with_wrong,
        "samples": counts.samples,
        "programs": counts.kept + failing,
        "tokens": counts.tokens,
        "statuses": raw["statuses"],
        "dropped": raw["dropped"],
        "mean_edit_distance": _mean(counts),
        "paper_mean_edit_distance": PAPER_EDIT_DISTANCE,
    }


def report_lines(counts: WrongCounts) -> list[str]:
    """The figures in words, one line each."""
    lines = [
        f"{counts.kept} different wrong programs for {counts.tasks_with_wrong} of {counts.tasks} "
        f"tasks, from {counts.samples} samples of {counts.tokens} tokens"
    ]
    if counts.statuses:
        lines.append(
            f"wrong programs by status: {shares(counts.statuses)} "
            f"(the paper: {PAPER_ASSERTIONS:.0%} fail on an assertion)"
        )
    mean = _mean(counts)
    if mean is not None:
        lines.append(
            f"mean edit distance to the reference {mean} characters (the paper: "
            f"{PAPER_EDIT_DISTANCE})"
        )
    if counts.dropped:
        rest = ", ".join(f"{reason} {n}" for reason, n in sorted(counts.dropped.items()))
        lines.append(f"sampled and not kept: {rest}")
    return lines


def _mean(counts: WrongCounts) -> float | None:
    """Mean edit distance in characters; None without a reference."""
    if counts.with_reference == 0:
        return None
    return round(counts.edit_distance / counts.with_reference, 1)

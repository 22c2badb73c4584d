"""What demonstrations look like, as counts that can be added up."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from redline.cluster.counts import Counts, shares

PAPER_EDIT_DISTANCE = 39.9
"""Mean edit distance of the 35,223 demonstrations of Rainone et al. (arXiv 2507.05065)."""


@dataclass(slots=True, kw_only=True)
class DemoCounts(Counts):
    """Counts over demonstrations; those of parts of the work are added with `add`."""

    demonstrations: int = 0
    commands: int = 0
    """All commands, EXIT included."""
    edit_distance: int = 0
    """Sum of the Levenshtein distances in characters from broken program to reference."""
    tokens: int = 0
    executions: int = 0
    passing_midway: int = 0
    """Demonstrations that go on, or end early, at a program that passes before the last."""
    edits: Counter[str] = field(default_factory=Counter)
    """Number of edits -> demonstrations."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Kind of random edit -> edits."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Status of the broken program -> demonstrations."""
    set_aside: Counter[str] = field(default_factory=Counter)
    """Reason -> draws or pairs that were not used."""


def figures(counts: DemoCounts) -> dict[str, Any]:
    """The counts and means that `redline tasks demos` reports."""
    number = max(counts.demonstrations, 1)
    raw = counts.to_json()
    return {
        "demonstrations": counts.demonstrations,
        "mean_edit_distance": round(counts.edit_distance / number, 1),
        "paper_mean_edit_distance": PAPER_EDIT_DISTANCE,
        "mean_commands": round(counts.commands / number, 2),
        "tokens": counts.tokens or None,
        "executions": counts.executions,
        "passing_midway": counts.passing_midway,
        **{name: raw[name] for name in ("edits", "kinds", "statuses", "set_aside")},
    }


def report_lines(counts: DemoCounts, tasks: int) -> list[str]:
    """The figures in words, one line each."""
    number = max(counts.demonstrations, 1)
    lines = [
        f"{counts.demonstrations} demonstrations of {tasks} tasks, each verified to end in passing "
        f"tests; {counts.executions} executions",
        f"mean edit distance {counts.edit_distance / number:.1f} characters "
        f"(the paper: {PAPER_EDIT_DISTANCE}), mean commands with EXIT "
        f"{counts.commands / number:.2f}",
    ]
    if counts.tokens:
        lines.append(f"{counts.tokens} tokens, {counts.tokens / number:.0f} per demonstration")
    named = (
        ("edits per program", counts.edits),
        ("kinds of edit", counts.kinds),
        ("broken programs by status", counts.statuses),
    )
    lines += [f"{name}: {shares(counter)}" for name, counter in named if counter]
    if counts.set_aside:
        rest = ", ".join(f"{reason} {n}" for reason, n in sorted(counts.set_aside.items()))
        lines.append(f"drawn and not used: {rest}")
    return lines

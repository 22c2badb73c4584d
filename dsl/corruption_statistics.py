"""What a set of broken programs looks like: kinds of edits, how many, how far from the truth."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from redline.dsl.corruption import EditKind
from redline.dsl.edit_distance import edit_distance
from redline.dsl.generated import GeneratedTask


@dataclass(frozen=True, slots=True, kw_only=True)
class CorruptionStatistics:
    """Figures over a set of generated tasks."""

    tasks: int
    edits_per_task: dict[int, int]
    """Number of edits -> number of tasks."""
    kinds: dict[EditKind, int]
    """Kind -> number of edits of that kind."""
    mean_edit_distance: float
    """Mean of the edits in characters between broken program and reference; 0 without tasks."""


def corruption_statistics(generated: Iterable[GeneratedTask]) -> CorruptionStatistics:
    """Count edits and measure distances; about 0.1 ms a task."""
    tasks = list(generated)
    distances = [edit_distance(g.task.broken, g.task.reference or "") for g in tasks]
    return CorruptionStatistics(
        tasks=len(tasks),
        edits_per_task=dict(sorted(Counter(len(g.kinds) for g in tasks).items())),
        kinds=dict(Counter(kind for g in tasks for kind in g.kinds)),
        mean_edit_distance=sum(distances) / len(distances) if distances else 0.0,
    )

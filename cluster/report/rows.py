"""The rows of the final tables, worked out once for terminal, picture and page."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from redline.actors.evaluation_summary import EvalResult, TaskScore
from redline.actors.intervals import Rate, wilson
from redline.cluster.evaluation.evaluating import Evaluation
from redline.dsl.families import FAMILIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table: solve rates of the same tasks before and after."""

    label: str
    before: Rate
    after: Rate

    @property
    def difference(self) -> float:
        """Change of the rate."""
        return self.after.rate - self.before.rate


def by_turns(before: Evaluation, after: Evaluation) -> list[Row]:
    """Greedy solve rate by the number of turns allowed."""
    later = {entry.turns: entry.rate for entry in after.greedy.by_turns}
    return [
        Row(
            label=f"{entry.turns} turn{'s' * (entry.turns > 1)}",
            before=entry.rate,
            after=later[entry.turns],
        )
        for entry in before.greedy.by_turns
        if entry.turns in later
    ]


def by_family(before: Evaluation, after: Evaluation) -> list[Row]:
    """Sampled solve rate by family; with several samples a task, it is the steadier one."""
    return _grouped(before.sampled, after.sampled, lambda score: score.family)


def by_kind(before: Evaluation, after: Evaluation) -> list[Row]:
    """Sampled solve rate by kind of built-in family, and on families never trained on."""
    kinds = _grouped(before.sampled, after.sampled, _kind)
    novelty = _grouped(before.sampled, after.sampled, _novelty)
    return kinds + (novelty if len(novelty) > 1 else [])


def _kind(score: TaskScore) -> str:
    family = FAMILIES.get(score.family)
    return family.kind if family else "other"


def _novelty(score: TaskScore) -> str:
    family = FAMILIES.get(score.family)
    return "families held out" if family and family.held_out else "families trained on"


def _grouped(before: EvalResult, after: EvalResult, key: Callable[[TaskScore], str]) -> list[Row]:
    old, new = _rates(before.scores, key), _rates(after.scores, key)
    return [Row(label=k, before=old[k], after=new[k]) for k in sorted(old) if k in new]


def _rates(scores: Iterable[TaskScore], key: Callable[[TaskScore], str]) -> dict[str, Rate]:
    shares: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        shares[key(score)].append(score.share)
    return {name: wilson(sum(values), len(values)) for name, values in shares.items()}

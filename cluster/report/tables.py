"""The final tables for the terminal."""

from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from redline.actors.intervals import Difference
from redline.cluster.evaluation.evaluating import COE, ArmResult, Comparison, Evaluation
from redline.cluster.report.rows import Row, by_family, by_kind, by_turns

_FAMILY_COLUMNS = 2


def final_tables(before: Evaluation, after: Evaluation) -> RenderableType:
    """Held-out solve rates before and after: in all, by turns allowed, by kind, by family."""
    comparison = Comparison.of(before, after)
    families = by_family(before, after)
    height = -(-len(families) // _FAMILY_COLUMNS)
    chunks = [families[i : i + height] for i in range(0, len(families), height)]
    return Group(
        _overall(before, after, comparison),
        Text(),
        Columns(
            [
                _rows("by turns allowed (greedy)", by_turns(before, after)),
                _rows("by kind (sampled)", by_kind(before, after)),
            ],
            padding=(0, 4),
        ),
        Text(),
        Columns(
            [_rows("by family (sampled)" * (i == 0), chunk) for i, chunk in enumerate(chunks)],
            padding=(0, 4),
        ),
    )


def evaluation_tables(results: Sequence[ArmResult]) -> RenderableType:
    """Solve rates of one evaluation: of all arms, and what the editor's arm tells beyond that."""
    editor = [result.found for result in results if result.arm == COE]
    blocks: list[RenderableType] = [_arms(results)]
    for found in editor:
        blocks += [Text(), _turns_allowed(found), Text(), _families(found)]
    return Group(*blocks)


def _arms(results: Sequence[ArmResult]) -> Table:
    table = Table(title="solve rate", title_justify="left", box=None, padding=(0, 2))
    for name in ("", "", "tasks", "rate", "95 % interval", "turns", "tokens", "pass@k"):
        table.add_column(name, justify="right" if name else "left", header_style="dim")
    for result in results:
        for name, found in (("greedy", result.found.greedy), ("sampled", result.found.sampled)):
            table.add_row(
                Text(result.arm if name == "greedy" else "", style="bold"),
                name,
                str(found.rate.tasks),
                f"{found.rate.rate:.1%}",
                f"{found.rate.ci_low:.1%}–{found.rate.ci_high:.1%}",
                f"{found.num_turns:.2f}",
                f"{found.num_tokens:.0f}",
                "  ".join(f"@{entry.k} {entry.value:.1%}" for entry in found.pass_at),
            )
    return table


def _turns_allowed(found: Evaluation) -> Table:
    table = Table(title="by turns allowed", title_justify="left", box=None, padding=(0, 2))
    for name in ("turns", "greedy", "sampled"):
        table.add_column(name, justify="right", header_style="dim")
    for one, other in zip(found.greedy.by_turns, found.sampled.by_turns, strict=True):
        table.add_row(str(one.turns), f"{one.rate.rate:.1%}", f"{other.rate.rate:.1%}")
    return table


def _families(found: Evaluation) -> Table:
    table = Table(title="by family", title_justify="left", box=None, padding=(0, 2))
    for name in ("", "tasks", "greedy", "sampled"):
        table.add_column(name, justify="right" if name else "left", header_style="dim")
    for greedy, sampled in zip(found.greedy.by_family, found.sampled.by_family, strict=True):
        rates = (f"{greedy.rate.rate:.1%}", f"{sampled.rate.rate:.1%}")
        table.add_row(greedy.family, str(greedy.rate.tasks), *rates)
    return table


def _overall(before: Evaluation, after: Evaluation, comparison: Comparison) -> Table:
    table = Table(title="held-out solve rate", title_justify="left", box=None, padding=(0, 2))
    for name in ("", "tasks", "before", "after", "difference", "95 % interval of it"):
        table.add_column(name, justify="right" if name else "left", header_style="dim")
    for name, difference in (("greedy", comparison.greedy), ("sampled", comparison.sampled)):
        old = (before.greedy if name == "greedy" else before.sampled).rate
        new = (after.greedy if name == "greedy" else after.sampled).rate
        table.add_row(
            Text(name, style="bold"),
            str(difference.tasks),
            f"{old.rate:6.1%} ({old.ci_low:.1%}–{old.ci_high:.1%})",
            f"{new.rate:6.1%} ({new.ci_low:.1%}–{new.ci_high:.1%})",
            _signed(difference.difference),
            _interval(difference),
        )
    return table


def _rows(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title or " ", title_justify="left", box=None, padding=(0, 1))
    for name in ("", "tasks", "before", "after", "diff"):
        table.add_column(name, justify="right" if name else "left", header_style="dim")
    for row in rows:
        table.add_row(
            row.label,
            str(row.before.tasks),
            f"{row.before.rate:.1%}",
            f"{row.after.rate:.1%}",
            _signed(row.difference),
        )
    return table


def _signed(value: float) -> Text:
    style = "green" if value > 0 else "red" if value < 0 else "dim"
    return Text(f"{100 * value:+.1f}", style=style)


def _interval(difference: Difference) -> str:
    return f"{100 * difference.ci_low:+.1f} to {100 * difference.ci_high:+.1f} points"

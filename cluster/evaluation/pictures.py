"""An evaluation as one picture: solve rate against tokens spent, and how attempts ended."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redline.cluster.evaluation.evaluating import COE, ArmResult
from redline.cluster.report.pictures import STYLE, percent
from redline.replay.records import TrajectoryStatus

_COLORS = {"coe": "#2563eb", "direct": "#ea7317", "thinking": "#7c3aed"}
_FEW_OCTAVES = 2.5
"""Below, powers of two alone would leave an axis with hardly a number."""
_DARK, _LIGHT = "#111827", "white"
_STATUS_COLORS = {
    TrajectoryStatus.SOLVED: ("#15803d", _LIGHT),
    TrajectoryStatus.EXITED: ("#f59e0b", _DARK),
    TrajectoryStatus.TURN_LIMIT: ("#9ca3af", _DARK),
    TrajectoryStatus.TRUNCATED: ("#b91c1c", _LIGHT),
}
"""Of a bar and of what is written on it."""


def draw_evaluation(path: Path, results: Sequence[ArmResult], *, title: str) -> None:
    """Write the picture of the sampled attempts of all arms."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    with mpl.rc_context(STYLE):
        figure, axes = pyplot.subplots(2, 2, figsize=(13, 8.4), layout="constrained")
        figure.suptitle(title, fontsize=15, fontweight="bold", x=0.01, ha="left")
        _budgets(axes[0, 0], results)
        _samples(axes[0, 1], results)
        _endings(axes[1, 0], results)
        _lengths(axes[1, 1], results)
        figure.savefig(path, dpi=130)
        pyplot.close(figure)


def _budgets(axis: Any, results: Sequence[ArmResult]) -> None:
    """One attempt, cut after so many sampled tokens."""
    axis.set_title("Solved by one attempt, cut at a budget of tokens")
    for result in results:
        entries = result.found.sampled.by_tokens
        _curve(
            axis,
            [entry.tokens for entry in entries],
            [entry.rate.rate for entry in entries],
            [(entry.rate.ci_low, entry.rate.ci_high) for entry in entries],
            result.arm,
        )
    _token_axis(axis, "sampled tokens of the attempt")


def _samples(axis: Any, results: Sequence[ArmResult]) -> None:
    """pass@k against what k attempts cost."""
    axis.set_title("Solved by any of k attempts (pass@k)")
    for result in results:
        entries = [entry for entry in result.found.sampled.pass_at if entry.tokens > 0]
        rates = [entry.value for entry in entries]
        costs = [entry.tokens for entry in entries]
        _curve(axis, costs, rates, [(e.ci_low, e.ci_high) for e in entries], result.arm)
        for entry in entries:
            axis.annotate(
                f"@{entry.k}", (entry.tokens, entry.value), xytext=(0, 6),
                textcoords="offset points", ha="center", fontsize=8.5,
            )  # fmt: skip
    _token_axis(axis, "sampled tokens of all k attempts, mean over tasks")


def _curve(
    axis: Any,
    x: Sequence[float],
    y: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    arm: str,
) -> None:
    color = _COLORS[arm]
    axis.plot(x, y, "o-", color=color, linewidth=2, markersize=5, label=arm)
    lows, highs = [low for low, _ in intervals], [high for _, high in intervals]
    axis.fill_between(x, lows, highs, color=color, alpha=0.13, linewidth=0)


def _token_axis(axis: Any, label: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if axis.get_lines() and any(len(line.get_xdata()) for line in axis.get_lines()):
        axis.set_xscale("log", base=2)
        low, high = axis.get_xlim()
        if math.log2(high / low) < _FEW_OCTAVES:
            axis.xaxis.set_major_locator(LogLocator(base=2, subs=(1.0, 1.25, 1.5, 1.75)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.xaxis.set_minor_locator(NullLocator())
    axis.set_ylim(bottom=0)
    axis.set_xlabel(label)
    axis.legend(loc="upper left")
    percent(axis)


def _endings(axis: Any, results: Sequence[ArmResult]) -> None:
    """Share of attempts by final status; every status is named in the legend."""
    axis.set_title("How attempts ended")
    names = [result.arm for result in results]
    left = [0.0] * len(results)
    for status, (color, ink) in _STATUS_COLORS.items():
        shares = [_share(result, status) for result in results]
        if not any(shares):
            continue
        axis.barh(names, shares, left=left, color=color, label=str(status).replace("_", " "))
        for index, share in enumerate(shares):
            if share >= 0.06:
                axis.text(
                    left[index] + share / 2, index, f"{share:.0%}",
                    ha="center", va="center", color=ink, fontsize=9,
                )  # fmt: skip
        left = [a + b for a, b in zip(left, shares, strict=True)]
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.grid(visible=False)
    if any(left):
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=4)
    from matplotlib.ticker import PercentFormatter

    axis.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))


def _share(result: ArmResult, status: TrajectoryStatus) -> float:
    counts = {entry.status: entry.episodes for entry in result.found.sampled.by_status}
    return counts.get(status, 0) / max(1, sum(counts.values()))


def _lengths(axis: Any, results: Sequence[ArmResult]) -> None:
    """Episodes of the editor by the number of turns that they took."""
    axis.set_title("Turns that episodes of the editor took")
    editor = next((r.found.sampled for r in results if r.arm == COE), None)
    if editor is None or not editor.by_length:
        axis.text(0.5, 0.5, "the arm coe did not run", ha="center", transform=axis.transAxes)
        axis.set_axis_off()
        return
    turns = [entry.turns for entry in editor.by_length]
    solved = [entry.solved for entry in editor.by_length]
    others = [entry.episodes - entry.solved for entry in editor.by_length]
    axis.bar(turns, solved, color="#15803d", label="solved")
    axis.bar(turns, others, bottom=solved, color="#d1d5db", label="not solved")
    axis.set_xticks(turns)
    axis.grid(visible=False, axis="x")
    axis.set_xlabel("turns")
    axis.set_ylabel("episodes")
    axis.set_ylim(top=1.2 * max(entry.episodes for entry in editor.by_length))  # for the legend
    axis.legend(loc="upper right", ncols=2)

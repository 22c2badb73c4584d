"""The curves of a run as one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redline.cluster.report.rows import Row

_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#2563eb", "#ea7317", "#15803d", "#b91c1c", "#9ca3af"
_SMOOTH = 10
"""Steps of the moving average."""


def draw_curves(
    path: Path, steps: Sequence[dict[str, Any]], turns: Sequence[Row], *, title: str
) -> None:
    """Write the picture; `steps` as in metrics/steps.jsonl, `turns` the rows by turns allowed."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    with mpl.rc_context(STYLE):
        figure, axes = pyplot.subplots(2, 3, figsize=(15, 7.6), layout="constrained")
        figure.suptitle(title, fontsize=15, fontweight="bold", x=0.01, ha="left")
        x = [step["step"] for step in steps]
        _solve_rate(axes[0, 0], x, steps)
        _reward(axes[0, 1], x, steps)
        _turns(axes[0, 2], turns)
        _learning(axes[1, 0], x, steps)
        _time(axes[1, 1], x, steps)
        _weights(axes[1, 2], x, steps)
        figure.savefig(path, dpi=130)
        pyplot.close(figure)


STYLE: dict[str, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "axes.edgecolor": "#6b7280",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "font.size": 10.5,
    "legend.frameon": False,
}


def _series(steps: Sequence[dict[str, Any]], name: str) -> list[float]:
    return [float(step[name]) for step in steps]


def moving_average(values: Sequence[float], width: int = _SMOOTH) -> list[float]:
    """Mean of the last `width` values at each place; fewer at the start."""
    return [
        sum(values[max(0, i + 1 - width) : i + 1]) / min(i + 1, width) for i in range(len(values))
    ]


def _smoothed(axis: Any, x: Sequence[int], y: Sequence[float], color: str, label: str) -> None:
    axis.plot(x, y, color=color, alpha=0.25, linewidth=1)
    axis.plot(x, moving_average(y), color=color, linewidth=2, label=label)


def percent(axis: Any) -> None:
    """Let the vertical axis tell shares as percentages."""
    from matplotlib.ticker import PercentFormatter

    axis.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))


def _solve_rate(axis: Any, x: Sequence[int], steps: Sequence[dict[str, Any]]) -> None:
    axis.set_title("Solved while training")
    _smoothed(axis, x, _series(steps, "rollout/solve_rate"), _BLUE, f"mean of {_SMOOTH} steps")
    axis.set_ylim(bottom=0)
    axis.set_xlabel("step")
    axis.legend(loc="lower right")
    percent(axis)


def _reward(axis: Any, x: Sequence[int], steps: Sequence[dict[str, Any]]) -> None:
    axis.set_title("Reward and turns of an episode")
    _smoothed(axis, x, _series(steps, "rollout/reward_mean"), _BLUE, "reward (left)")
    right = axis.twinx()
    _smoothed(right, x, _series(steps, "rollout/num_turns"), _ORANGE, "turns (right)")
    right.spines["right"].set_visible(True)
    right.grid(visible=False)
    right.set_ylim(bottom=0)
    axis.set_xlabel("step")
    lines = [*axis.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    axis.legend(handles=lines, loc="lower right")


def _turns(axis: Any, rows: Sequence[Row]) -> None:
    axis.set_title("Held-out solved (greedy), by turns allowed")
    if not rows:
        axis.text(0.5, 0.5, "no evaluation", ha="center", va="center", transform=axis.transAxes)
        axis.set_axis_off()
        return
    for shift, name, color in ((-0.2, "before", _GREY), (0.2, "after", _BLUE)):
        rates = [getattr(row, name) for row in rows]
        heights = [rate.rate for rate in rates]
        errors = [
            [max(0.0, rate.rate - rate.ci_low) for rate in rates],
            [max(0.0, rate.ci_high - rate.rate) for rate in rates],
        ]
        places = [index + shift for index in range(len(rows))]
        axis.bar(places, heights, width=0.38, color=color, label=name)
        axis.errorbar(places, heights, yerr=errors, fmt="none", ecolor="#111827", capsize=3)
        for place, rate in zip(places, rates, strict=True):
            axis.annotate(
                f"{rate.rate:.0%}",
                (place, rate.ci_high),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )
    axis.set_xticks(range(len(rows)), [row.label for row in rows])
    axis.grid(visible=False, axis="x")
    axis.set_ylim(0, min(1.0, 1.18 * max(row.after.ci_high for row in rows) + 0.05))
    axis.legend(loc="upper left")
    percent(axis)


def _learning(axis: Any, x: Sequence[int], steps: Sequence[dict[str, Any]]) -> None:
    axis.set_title("Learner")
    _smoothed(axis, x, _series(steps, "learner/entropy"), _GREEN, "entropy (nats a token)")
    _smoothed(axis, x, _series(steps, "learner/grad_norm"), _ORANGE, "gradient norm")
    axis.set_ylim(bottom=0)
    axis.set_xlabel("step")
    axis.legend(loc="best")


def _time(axis: Any, x: Sequence[int], steps: Sequence[dict[str, Any]]) -> None:
    axis.set_title("Seconds of a step")
    parts = [
        moving_average(_series(steps, f"timing/{name}"))
        for name in ("train_step", "weight_sync", "wait_for_batch")
    ]
    labels = ("training", "weight push", "waiting for episodes")
    axis.stackplot(x, *parts, labels=labels, colors=[_BLUE, _RED, "#d1d5db"], alpha=0.85)
    highest = max((sum(column) for column in zip(*parts, strict=True)), default=1.0)
    axis.set_ylim(0, 1.35 * highest)
    axis.set_xlabel("step")
    axis.legend(loc="upper right", ncols=2)


def _weights(axis: Any, x: Sequence[int], steps: Sequence[dict[str, Any]]) -> None:
    axis.set_title("Sampler against learner after each push")
    differences = [max(value, 1e-9) for value in _series(steps, "weights/max_abs_dlogp")]
    axis.semilogy(x, differences, ".", color=_BLUE, markersize=4, label="largest |Δ log p|")
    axis.axhline(1e-3, color=_RED, linestyle="--", linewidth=1.2, label="refused above (float32)")
    axis.set_ylim(1e-8, 1e-1)
    axis.set_xlabel("step")
    axis.legend(loc="upper right", ncols=2)

"""Which curves of a run are drawn together, and as what."""

from dataclasses import dataclass
from typing import Any

from redline.cluster.dashboard.curves import Curves
from redline.cluster.dashboard.thinning import thin

LEADING = 6
"""Panels that stand above the tables."""
_POINTS = 400
"""At most so many points of each line are sent to a browser."""
_COLOURS = ("#2f8fd8", "#d55e00", "#009e73", "#cc79a7")
"""Okabe and Ito's palette, told apart by colour-blind readers; its blue lighter, for dark pages."""
_GREY = "#8a8f98"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One chart."""

    title: str
    unit: str
    curves: tuple[tuple[str, str], ...]
    """Name in TensorBoard, and label."""
    scale: float = 1.0
    """What values are multiplied by: 100 for shares shown in percent."""
    smooth: bool = True


PANELS = (
    Panel(title="Solve rate", unit="%", scale=100, curves=(("rollout/solve_rate", "solved"),)),
    Panel(title="Reward", unit="", curves=(("rollout/reward_mean", "mean reward"),)),
    Panel(title="Tokens trained", unit="tokens/s", curves=(("perf/throughput", "tokens/s"),)),
    Panel(
        title="Trajectories trained", unit="per s",
        curves=(("perf/trajectories_per_s", "trajectories/s"),),
    ),
    Panel(
        title="Idle", unit="%", scale=100,
        curves=(("rollouter/idle_ratio", "samplers"), ("trainer/idle_ratio", "learner")),
    ),
    Panel(
        title="Time of a step", unit="s",
        curves=(
            ("timing/wait_for_batch", "wait"), ("timing/train_step", "train"),
            ("timing/weight_sync", "push"), ("timing/generation", "one episode"),
        ),
    ),
    Panel(
        title="Staleness", unit="versions", smooth=False,
        curves=(("staleness/mean", "mean"), ("staleness/max", "highest")),
    ),
    Panel(
        title="Dropped per step", unit="trajectories", smooth=False,
        curves=(
            ("dropped/no_signal", "no signal"), ("dropped/stale", "stale"),
            ("dropped/too_long", "too long"), ("dropped/aborted", "aborted"),
        ),
    ),
    Panel(title="Turns", unit="per episode", curves=(("rollout/num_turns", "turns"),)),
    Panel(title="Policy loss", unit="", curves=(("learner/pg_loss", "loss"),)),
    Panel(title="Entropy", unit="nats", curves=(("learner/entropy", "entropy"),)),
    Panel(title="Gradient norm", unit="", curves=(("learner/grad_norm", "norm"),)),
    Panel(
        title="Clipped", unit="%", scale=100,
        curves=(("learner/clipfrac", "ratios"), ("learner/masked_fraction", "masked")),
    ),
    Panel(
        title="Divergence", unit="nats",
        curves=(("learner/kl", "from reference"), ("learner/mismatch_kl", "sampler, learner")),
    ),
    Panel(
        title="Weight push", unit="ms standstill", smooth=False,
        curves=(("weights/pause_ms", "pause"),),
    ),
)  # fmt: skip


def chart_options(panel: Panel, curves: Curves) -> dict[str, Any]:
    """Apache ECharts' options for a panel; thin raw lines behind smoothed ones."""
    series: list[dict[str, Any]] = []
    for (name, label), colour in zip(panel.curves, _COLOURS, strict=False):
        curve = curves.get(name)
        if panel.smooth:
            raw = _line(label, colour, _points(panel, curves, curve.values))
            raw |= {"lineStyle": {"width": 1, "opacity": 0.3}, "silent": True}
            series.append(raw | {"tooltip": {"show": False}})
            series.append(_line(label, colour, _points(panel, curves, curve.smooth)))
        else:
            series.append(_line(label, colour, _points(panel, curves, curve.values)))
    axis = {
        "axisLabel": {"color": _GREY, "hideOverlap": True},
        "splitLine": {"lineStyle": {"color": _GREY, "opacity": 0.2}},
    }
    return {
        "animation": False,
        "grid": {
            "left": 8,
            "right": 14,
            "top": 30 if len(panel.curves) > 1 else 12,
            "bottom": 4,
            "containLabel": True,
        },
        "legend": {
            "show": len(panel.curves) > 1,
            "top": 0,
            "icon": "roundRect",
            "textStyle": {"color": _GREY},
        },
        "tooltip": {"trigger": "axis", "confine": True, ":valueFormatter": _FORMAT},
        "xAxis": {"type": "value", "min": "dataMin", "max": "dataMax", "minInterval": 1, **axis},
        "yAxis": {"type": "value", "scale": True, **axis},
        "series": series,
    }


_FORMAT = "value => value === undefined ? '' : Number(value).toPrecision(4)"


def last_value(panel: Panel, curves: Curves) -> str:
    """The newest values of a panel in words, for those who do not see the chart."""
    told = []
    for name, label in panel.curves:
        value = curves.get(name).last
        number = "–" if value is None else _short(value * panel.scale)
        told.append(number if len(panel.curves) == 1 else f"{label} {number}")
    return f"{', '.join(told)} {panel.unit}".strip()


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _points(panel: Panel, curves: Curves, values: list[float]) -> list[list[float]]:
    return [[s, round(v * panel.scale, 9)] for s, v in thin(curves.steps, values, _POINTS)]


def _line(label: str, colour: str, points: list[list[float]]) -> dict[str, Any]:
    return {
        "type": "line",
        "name": label,
        "data": points,
        "showSymbol": len(points) < 3,
        "symbolSize": 5,
        "itemStyle": {"color": colour},
        "lineStyle": {"width": 2},
    }

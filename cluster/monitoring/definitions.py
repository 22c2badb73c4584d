"""What a metric is, and where all of them are found.

Prometheus shows a metric as `ray_` + name; counters end with `_total` there. Every metric has the
label `run` besides those listed, and `role`: whose number it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache


class Kind(StrEnum):
    """How a metric changes."""

    COUNTER = "counter"
    """Only grows, until its process starts again."""
    GAUGE = "gauge"


class Role(StrEnum):
    """Whose number a metric is."""

    CONTROLLER = "controller"
    SAMPLER = "sampler"
    SANDBOX = "sandbox"
    REPLAY = "replay"
    LEARNER = "learner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric of the system."""

    name: str
    kind: Kind
    role: Role | None
    """None when it differs and is given with each value."""
    unit: str
    meaning: str
    remedy: str
    """What to do when it is bad; what is bad is said too."""
    labels: tuple[str, ...] = ()
    """Besides `run` and `role`."""
    curves: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Curves of a step that it is taken from, and the labels that each stands for."""
    scale: float = 1.0
    """What a curve's value is multiplied by to get this unit."""

    @property
    def series(self) -> str:
        """Its name in Prometheus."""
        return f"ray_{self.name}" + "_total" * (self.kind is Kind.COUNTER)


@cache
def all_metrics() -> dict[str, Metric]:
    """Every metric by name, in the order of docs/metrics.md."""
    from redline.cluster.monitoring.tables import engine, fleet, learning, run, sampling, sandboxes

    tables = (run, learning, sampling, engine, sandboxes, fleet)
    return {metric.name: metric for table in tables for metric in table.METRICS}


def curve(name: str, **labels: str) -> dict[str, dict[str, str]]:
    """The one curve that a metric is taken from."""
    return {name: labels}


def of_worker(
    role: Role, name: str, kind: Kind, unit: str, meaning: str, remedy: str, *labels: str
) -> Metric:
    """A number that each worker of a role tells of itself."""
    return Metric(
        name=name,
        kind=kind,
        role=role,
        unit=unit,
        labels=("worker", *labels),
        meaning=meaning,
        remedy=remedy,
    )

"""PromQL in short form: `@name` stands for a metric, checked against the definitions."""

import re
from collections.abc import Iterator

from redline.cluster.monitoring.definitions import Metric, all_metrics

_SHORT = re.compile(r"@(\w+)(?:\{([^}]*)\})?")


def promql(short: str, *selectors: str) -> str:
    """The query with every `@name{label="x"}` written out, `selectors` added to each.

    Raises KeyError for a name that is no metric.
    """

    def write_out(found: re.Match[str]) -> str:
        labels = ", ".join([*selectors, *([found[2]] if found[2] else [])])
        return _metric(found[1]).series + (f"{{{labels}}}" if labels else "")

    return _SHORT.sub(write_out, short)


def metrics_in(short: str) -> Iterator[Metric]:
    """The metrics that a short query asks for."""
    for found in _SHORT.finditer(short):
        yield _metric(found[1])


def _metric(name: str) -> Metric:
    return all_metrics()[f"redline_{name}"]

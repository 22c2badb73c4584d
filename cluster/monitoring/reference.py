"""docs/metrics.md, from the definitions: `python -m redline.cluster.monitoring.reference FILE`."""

import sys
from pathlib import Path

from redline.cluster.monitoring.definitions import Metric, all_metrics
from redline.cluster.monitoring.tables import engine, fleet, learning, run, sampling, sandboxes

_SECTIONS = (
    ("The run", run),
    ("Learning", learning),
    ("Samplers", sampling),
    ("Engines", engine),
    ("Sandboxes", sandboxes),
    ("Fleet and store", fleet),
)

_HEAD = Path(__file__).parent / "metrics_head.md"


def reference() -> str:
    """The page as Markdown."""
    known = all_metrics()
    parts = [_HEAD.read_text(encoding="utf-8")]
    for title, table in _SECTIONS:
        parts.append(f"\n## {title}\n\n{table.__doc__}\n")
        parts += [_entry(known[metric.name]) for metric in table.METRICS]
    return "".join(parts)


def _entry(metric: Metric) -> str:
    named = metric.labels if metric.role else ("role", *metric.labels)
    labels = ", ".join(f"`{name}`" for name in named)
    role = "" if metric.role is None else f", role `{metric.role}`"
    facts = f"{metric.kind}, {metric.unit}{role}" + (f", by {labels}" if labels else "")
    lines = [f"\n### `{metric.series}`\n", f"\n{facts}. {metric.meaning}\n"]
    if metric.remedy and not metric.remedy.startswith("None:"):
        lines.append(f"\n**When it is bad.** {metric.remedy}\n")
    if metric.curves:
        names = ", ".join(f"`{curve}`" for curve in metric.curves)
        lines.append(f"\nTensorBoard: {names}.\n")
    return "".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")

"""The report of a run as one self-contained page."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from redline.actors.intervals import Difference, Rate
from redline.cluster.report.result import RunSummary
from redline.cluster.report.rows import Row, by_family, by_kind, by_turns

_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;color:#111827;background:#fff;max-width:1100px;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #e5e7eb}
th:first-child,td:first-child{text-align:left}th{color:#6b7280;font-weight:500}
small{color:#6b7280;white-space:nowrap}.up{color:#15803d}.down{color:#b91c1c}.facts{color:#4b5563}
.wide{overflow-x:auto}img{max-width:100%}
pre{background:#f3f4f6;padding:1rem;overflow-x:auto}
details summary{cursor:pointer;font-weight:600;font-size:1.15rem;margin-top:2rem}
@media (max-width:700px){body{margin:1rem auto}th,td{padding:.25rem .4rem}
img{max-width:none;width:900px}}
@media (prefers-color-scheme:dark){body{background:#111827;color:#e5e7eb}th,td{border-color:#374151}
pre{background:#1f2937}th,small,.facts{color:#9ca3af}.up{color:#4ade80}.down{color:#f87171}
img{background:#fff;border-radius:6px}}
"""


def page(
    name: str, summary: RunSummary, picture: Path, commands: Sequence[str], configuration: str
) -> str:
    """The whole page as HTML; nothing in it is loaded from elsewhere."""
    parts = [
        f"<h1>redline: run {html.escape(name)}</h1>",
        f'<p class="facts">{summary.steps} steps · {summary.trajectories:,} episodes · '
        f"{summary.tokens_trained:,} tokens trained on · {summary.seconds_total / 60:.1f} minutes"
        f" · {summary.peak_rss_gib:.1f} GiB at most</p>",
        _heldout(summary),
        f"<h2>Curves</h2>{embedded(picture, 'curves of the run')}",
        _details(summary),
        f"<h2>Look into the run</h2><pre>{html.escape(chr(10).join(commands))}</pre>",
        f"<details><summary>Configuration</summary><pre>{html.escape(configuration)}</pre></details>",
    ]
    return document(name, parts)


def document(title: str, parts: Sequence[str]) -> str:
    """A whole page of HTML parts, with the style that all pages have."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>redline: {html.escape(title)}</title><style>{_STYLE}</style>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def embedded(picture: Path, description: str) -> str:
    """A picture as part of the page; a small screen shows a part of it at a size to be read."""
    image = base64.b64encode(picture.read_bytes()).decode()
    shown = f'<img alt="{html.escape(description)}" src="data:image/png;base64,{image}">'
    return f'<div class="wide">{shown}</div>'


def table(rows: str) -> str:
    """A table of rows in HTML; what is wider than the screen is scrolled by itself."""
    return f'<div class="wide"><table>{rows}</table></div>'


def _heldout(summary: RunSummary) -> str:
    if summary.before is None or summary.after is None or summary.comparison is None:
        return "<p>Nothing was evaluated (eval.tasks is 0).</p>"
    before, after, comparison = summary.before, summary.after, summary.comparison
    arms = (
        ("greedy", before.greedy.rate, after.greedy.rate, comparison.greedy),
        ("sampled", before.sampled.rate, after.sampled.rate, comparison.sampled),
    )
    rows = "".join(_overall_row(*arm) for arm in arms)
    return (
        "<h2>Held-out tasks solved</h2>"
        + table(
            "<tr><th></th><th>tasks</th><th>before</th><th>after</th><th>difference in points</th>"
            f"<th>95 % interval of it</th></tr>{rows}"
        )
        + '<p class="facts">In brackets: 95 % intervals of the rates.</p>'
    )


def _overall_row(name: str, before: Rate, after: Rate, difference: Difference) -> str:
    return (
        f"<tr><td>{name}</td><td>{difference.tasks}</td><td>{_rate(before)}</td>"
        f"<td>{_rate(after)}</td>{_signed(difference.difference)}"
        f"<td>{100 * difference.ci_low:+.1f} to {100 * difference.ci_high:+.1f}</td></tr>"
    )


def _details(summary: RunSummary) -> str:
    if summary.before is None or summary.after is None:
        return ""
    both = (summary.before, summary.after)
    return (
        f"<h2>By turns allowed (greedy)</h2>{_table(by_turns(*both))}"
        f"<h2>By kind (sampled)</h2>{_table(by_kind(*both))}"
        f"<details><summary>By family (sampled)</summary>{_table(by_family(*both))}</details>"
    )


def _table(rows: Sequence[Row]) -> str:
    lines = "".join(
        f"<tr><td>{html.escape(row.label)}</td><td>{row.before.tasks}</td>"
        f"<td>{_rate(row.before)}</td><td>{_rate(row.after)}</td>{_signed(row.difference)}</tr>"
        for row in rows
    )
    return table(
        "<tr><th></th><th>tasks</th><th>before</th><th>after</th><th>difference in points</th></tr>"
        f"{lines}"
    )


def _rate(rate: Rate) -> str:
    interval = f"({rate.ci_low:.1%}–{rate.ci_high:.1%})"
    return f"{rate.rate:.1%} <small>{interval}</small>"


def _signed(value: float) -> str:
    style = "up" if value > 0 else "down" if value < 0 else ""
    return f'<td class="{style}">{100 * value:+.1f}</td>'

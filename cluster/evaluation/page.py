"""The picture and the page of an evaluation."""

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from redline.actors.evaluation_summary import EvalResult
from redline.cluster.evaluation.evaluating import ArmResult
from redline.cluster.evaluation.pictures import draw_evaluation
from redline.cluster.files import write_atomically
from redline.cluster.report.page import document, embedded, table

_ABOUT = {
    "coe": "edits the program, one command at a time",
    "direct": "writes the whole program at once",
    "thinking": "writes free text first, then the whole program",
}


def write_pages(
    folder: Path, policy: str, results: Sequence[ArmResult], result: Mapping[str, Any]
) -> None:
    """Write curves.png and report.html into a folder."""
    picture = folder / "curves.png"
    draw_evaluation(picture, results, title=f"redline: evaluation of {policy}")
    write_atomically(folder / "report.html", evaluation_page(policy, results, picture, result))


def evaluation_page(
    policy: str, results: Sequence[ArmResult], picture: Path, result: Mapping[str, Any]
) -> str:
    """The whole page as HTML; nothing in it is loaded from elsewhere."""
    settings = result["settings"]
    made = {name: result[name] for name in ("settings", "versions", "commit")}
    parts = [
        f"<h1>redline: evaluation of {html.escape(policy)}</h1>",
        f'<p class="facts">{settings["tasks"]} tasks · {settings["eval"]["samples"]} samples at '
        f"temperature {settings['eval']['temperature']:g} · {result['seconds'] / 60:.1f} minutes · "
        f"intervals of 95 % over tasks</p>",
        _overall(results),
        f"<h2>Test-time compute</h2>{embedded(picture, 'solve rate against tokens spent')}",
        *(_arm(entry) for entry in results),
        "<details><summary>Settings, versions and commit</summary>"
        f"<pre>{html.escape(json.dumps(made, indent=1))}</pre></details>",
    ]
    return document(f"evaluation of {policy}", parts)


def _overall(results: Sequence[ArmResult]) -> str:
    ks = sorted({entry.k for result in results for entry in result.found.sampled.pass_at})
    head = "".join(f"<th>pass@{k}</th>" for k in ks)
    rows = []
    for result in results:
        greedy, sampled = result.found.greedy, result.found.sampled
        passes = {entry.k: entry for entry in sampled.pass_at}
        cells = "".join(
            _cell(passes[k].value, passes[k].ci_low, passes[k].ci_high)
            if k in passes
            else "<td>–</td>"
            for k in ks
        )
        rows.append(
            f"<tr><td><b>{result.arm}</b>: {_ABOUT[result.arm]}</td>"
            f"{_cell(greedy.rate.rate, greedy.rate.ci_low, greedy.rate.ci_high)}{cells}"
            f"<td>{sampled.num_tokens:.0f}</td></tr>"
        )
    return "<h2>Solved</h2>" + table(
        f"<tr><th></th><th>greedy</th>{head}<th>tokens an attempt</th></tr>{''.join(rows)}"
    )


def _cell(rate: float, low: float, high: float) -> str:
    return f"<td>{rate:.1%}<br><small>{low:.1%}–{high:.1%}</small></td>"


def _arm(result: ArmResult) -> str:
    sampled = result.found.sampled
    parts = [f"<h2>{result.arm}</h2>", _budgets(sampled)]
    if len(sampled.by_length) > 1:
        parts.append(_turns(result.found.greedy, sampled))
    statuses = ", ".join(f"{e.status.replace('_', ' ')} {e.episodes}" for e in sampled.by_status)
    aborted = f"; {sampled.aborted} aborted and not counted" if sampled.aborted else ""
    parts.append(f'<p class="facts">Sampled attempts by ending: {statuses}{aborted}</p>')
    return "".join(parts)


def _budgets(sampled: EvalResult) -> str:
    head = "".join(f"<th>{entry.tokens}</th>" for entry in sampled.by_tokens)
    cells = "".join(f"<td>{entry.rate.rate:.1%}</td>" for entry in sampled.by_tokens)
    return table(
        f"<tr><th>sampled tokens at most</th>{head}</tr><tr><td>solved (sampled)</td>{cells}</tr>"
    )


def _turns(greedy: EvalResult, sampled: EvalResult) -> str:
    head = "".join(f"<th>{entry.turns}</th>" for entry in greedy.by_turns)
    rows = "".join(
        f"<tr><td>solved ({name})</td>"
        + "".join(f"<td>{entry.rate.rate:.1%}</td>" for entry in arm.by_turns)
        + "</tr>"
        for name, arm in (("greedy", greedy), ("sampled", sampled))
    )
    return "<br>" + table(f"<tr><th>turns at most</th>{head}</tr>{rows}")

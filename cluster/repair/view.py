"""How a repair is told: the chain of edits turn by turn, the unified diff, and as JSON."""

import difflib
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from redline.cluster.repair.repairing import Candidate, RepairOutcome
from redline.replay.visible import safe_text, visible
from redline.sandbox.records import Verdict

_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def outcome_view(outcome: RepairOutcome, diff: str) -> RenderableType:
    """What happened, for a terminal; reads the same without colours."""
    total = len(outcome.before.tests)
    if outcome.samples == 0:
        return Text(f"nothing to repair: {total} of {total} tests pass", "green")
    if outcome.best is None:
        return Text(
            f"no repair: none of {outcome.samples} episodes passes more than the "
            f"{outcome.before.passing} of {total} tests that pass now", "red",
        )  # fmt: skip
    best = outcome.best
    if outcome.solved:
        headline = Text(f"repaired: {total} of {total} tests pass", "bold green")
    else:
        headline = Text(
            f"no repair in {outcome.samples} episodes; the best passes {best.verdict.passing} of "
            f"{total} tests, {outcome.before.passing} before", "yellow",
        )  # fmt: skip
    which = "the greedy episode" if best.sample == 0 else f"sampled episode {best.sample}"
    return Group(
        Text(f"chain of edits ({which}):", "bold"),
        *_chain(best, outcome.before),
        Text(),
        *(safe_text(line, _DIFF_STYLES.get(line[:1], "")) for line in diff.splitlines()),
        Text(),
        headline,
    )


def unified_diff(path: Path, before: str, after: str) -> str:
    """The diff of two programs as `patch` reads it; empty when they are equal."""
    name = str(path).lstrip("/")
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"a/{name}", f"b/{name}", lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)


def outcome_json(outcome: RepairOutcome, diff: str) -> dict[str, Any]:
    """The outcome as JSON values."""
    best = outcome.best
    verdict = outcome.before if best is None else best.verdict
    return {
        "solved": outcome.solved,
        "already_passing": outcome.before.passed,
        "passed": verdict.passing,
        "passed_before": outcome.before.passing,
        "total": len(outcome.before.tests),
        "statuses": [str(test.status) for test in verdict.tests],
        "samples": outcome.samples,
        "sample": None if best is None else best.sample,
        "turns": [] if best is None else _turns_json(best),
        "program": None if best is None else best.program,
        "diff": diff,
    }


def _chain(best: Candidate, before: Verdict) -> list[RenderableType]:
    """One line a turn: the command and what came of it, and below it what the tests say."""
    lines: list[RenderableType] = []
    verdict = before
    for number, turn in enumerate(best.turns, 1):
        verdict = turn.verdict or verdict
        command = visible(turn.command or turn.action_text)
        effect = "✗ " if turn.error is not None else ""
        told = f"{effect}{verdict.passing} of {len(verdict.tests)} tests pass"
        lines.append(
            Text.assemble((f"{number:>3}  ", "dim"), (command, "bold"), (f"   {told}", "dim"))
        )
        if turn.feedback:
            first = turn.feedback.splitlines()[0]
            lines.append(safe_text(f"       {first}", "yellow"))
    return lines


def _turns_json(best: Candidate) -> list[dict[str, Any]]:
    return [
        {
            "command": turn.command,
            "text": turn.action_text,
            "error": turn.error,
            "feedback": turn.feedback,
            "passed": None if turn.verdict is None else turn.verdict.passing,
        }
        for turn in best.turns
    ]

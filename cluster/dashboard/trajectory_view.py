"""A trajectory as the page shows it: turn by turn, each with its diff and its tokens."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from redline.cluster.dashboard.highlight import Piece, highlight_lines, mark_changed
from redline.cluster.dashboard.lookup import Found
from redline.cluster.dashboard.search import ResultRow
from redline.cluster.dashboard.token_texts import TokenTexts
from redline.replay.diff_lines import diff_lines
from redline.replay.records import Turn
from redline.replay.visible import visible

CONTEXT = 4
"""Unchanged lines shown around each change."""
_LEAST_FOLD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LineView:
    """One line of a diff."""

    sign: str
    number: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockView:
    """Lines in a row: shown, or folded because nothing near them changed."""

    folded: bool
    lines: tuple[LineView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """One sampled token."""

    text: str
    token_id: int
    logprob: float | None
    """Natural logarithm; None when it is not finite."""
    probability: float
    version: int
    """Weight version that sampled it."""
    new_version: bool
    """Whether the token before it was sampled by another version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestView:
    """What became of one test."""

    status: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnView:
    """One turn."""

    number: int
    """Counted from 1."""
    command: str
    """The command, or the sampled text when it was none."""
    error: str | None
    """Why the command was malformed or impossible."""
    changed: bool
    diff: tuple[BlockView, ...]
    tests: tuple[TestView, ...]
    tier: str | None
    """Isolation of the sandbox that ran the tests; None when nothing was run."""
    wall_ms: float
    feedback: str
    reward: float
    tokens: tuple[TokenView, ...]
    mean_logprob: float | None
    versions: str
    context_tokens: int
    """Tokens of the state that the turn answers."""

    @property
    def passed(self) -> int:
        """Number of tests that passed."""
        return sum(test.passed for test in self.tests)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrajectoryView:
    """One trajectory."""

    facts: ResultRow
    versions: str
    program: tuple[BlockView, ...]
    """The program before the first turn."""
    turns: tuple[TurnView, ...]
    group: tuple[ResultRow, ...]
    """All samples of its group, this one too."""
    previous_id: str | None
    next_id: str | None


def trajectory_view(found: Found, texts: TokenTexts) -> TrajectoryView:
    """Everything that the page shows of one trajectory."""
    trajectory = found.trajectory
    programs = [trajectory.initial_program, *(turn.program for turn in trajectory.turns)]
    ids = [row.trajectory_id for row in found.group]
    place = ids.index(found.facts.trajectory_id)
    return TrajectoryView(
        facts=found.facts,
        versions=version_range(found.facts.oldest_version, found.facts.newest_version),
        program=_fold(_diff(programs[0], programs[0]), whole=True),
        turns=tuple(
            _turn(number, turn, before, texts)
            for number, (turn, before) in enumerate(
                zip(trajectory.turns, programs, strict=False), 1
            )
        ),
        group=found.group,
        previous_id=ids[place - 1] if place > 0 else None,
        next_id=ids[place + 1] if place + 1 < len(ids) else None,
    )


def version_range(oldest: int, newest: int) -> str:
    """Weight versions as `v3` or `v3–5`; a dash when nothing was sampled."""
    if newest < 0:
        return "–"
    return f"v{oldest}" if oldest == newest else f"v{oldest}–{newest}"


def _turn(number: int, turn: Turn, before: str, texts: TokenTexts) -> TurnView:
    versions = turn.weight_versions
    verdict = turn.verdict
    mean = float(np.mean(turn.rollout_logprobs)) if len(turn.rollout_logprobs) else math.nan
    return TurnView(
        number=number,
        command=visible(turn.command or turn.action_text),
        error=None if turn.error is None else visible(turn.error),
        changed=turn.program != before,
        diff=_fold(_diff(before, turn.program), whole=False),
        tests=tuple(
            TestView(
                status=str(test.status), passed=test.status == "pass", detail=visible(test.detail)
            )
            for test in (verdict.tests if verdict else ())
        ),
        tier=verdict.tier if verdict else None,
        wall_ms=verdict.wall_ms if verdict else 0.0,
        feedback=visible(turn.feedback),
        reward=turn.reward,
        tokens=_tokens(turn, texts),
        mean_logprob=mean if math.isfinite(mean) else None,
        versions=version_range(
            int(min(versions, default=-1)), int(max(versions, default=-1))
        ),
        context_tokens=len(turn.state_token_ids),
    )  # fmt: skip


def _tokens(turn: Turn, texts: TokenTexts) -> tuple[TokenView, ...]:
    ids = turn.action_token_ids.tolist()
    logprobs = turn.rollout_logprobs.tolist()
    versions = turn.weight_versions.tolist()
    return tuple(
        TokenView(
            text=visible(text),
            token_id=token,
            logprob=logprob if math.isfinite(logprob) else None,
            probability=math.exp(logprob) if logprob <= 0 else 0.0,
            version=version,
            new_version=i > 0 and versions[i - 1] != version,
        )
        for i, (text, token, logprob, version) in enumerate(
            zip(texts.texts(ids), ids, logprobs, versions, strict=True)
        )
    )


def _diff(before: str, after: str) -> list[LineView]:
    old, new = visible(before), visible(after)
    coloured = {"-": highlight_lines(old), "+": highlight_lines(new), " ": highlight_lines(new)}
    return [
        LineView(
            sign=line.sign,
            number=line.number,
            pieces=mark_changed(coloured[line.sign][line.number - 1], line.changed),
        )
        for line in diff_lines(old, new)
    ]


def _fold(lines: Sequence[LineView], *, whole: bool) -> tuple[BlockView, ...]:
    """Lines in blocks; long stretches far from every change are folded unless `whole`."""
    changes = [i for i, line in enumerate(lines) if line.sign != " "]
    near = {j for i in changes for j in range(i - CONTEXT, i + CONTEXT + 1)}
    shown = [whole or not changes or i in near for i in range(len(lines))]
    blocks: list[BlockView] = []
    start = 0
    for i in range(1, len(lines) + 1):
        if i < len(lines) and shown[i] == shown[start]:
            continue
        folded = not shown[start] and i - start >= _LEAST_FOLD
        blocks.append(BlockView(folded=folded, lines=tuple(lines[start:i])))
        start = i
    return tuple(blocks)

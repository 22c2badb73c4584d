"""What `redline replay ls` and `redline replay show` print, as Rich renderables.

Nothing here prints or reads files. Every fact is a word or a sign, never a colour alone, so the
same renderable reads well in a pipe.
"""

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from redline.replay.diff_view import render_diff, render_program
from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn
from redline.replay.visible import safe_text, visible
from redline.sandbox.records import TestStatus, Verdict

STATUS_STYLES = {
    TrajectoryStatus.SOLVED: "bold green",
    TrajectoryStatus.EXITED: "yellow",
    TrajectoryStatus.TURN_LIMIT: "magenta",
    TrajectoryStatus.TRUNCATED: "cyan",
    TrajectoryStatus.ABORTED: "bold red",
}


def render_trajectory(trajectory: Trajectory) -> RenderableType:
    """A trajectory turn by turn: command, diff, tests, feedback, reward and likelihood."""
    blocks: list[RenderableType] = [
        _header(trajectory),
        Text("initial program", "bold"),
        Padding(render_program(trajectory.initial_program), (0, 0, 1, 0)),
    ]
    program = trajectory.initial_program
    for index, turn in enumerate(trajectory.turns, 1):
        blocks.append(_turn(index, turn, program))
        program = turn.program
    if not trajectory.turns:
        blocks.append(Text("no turns", "dim"))
    return Group(*blocks)


def render_group(group: TrajectoryGroup) -> RenderableType:
    """The samples of one group side by side: how each ended and the commands it took."""
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, leading=1)
    table.add_column("trajectory", no_wrap=True, overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("reward", justify="right", no_wrap=True)
    table.add_column("tokens", justify="right", no_wrap=True)
    table.add_column("commands", ratio=1)
    for trajectory in group.trajectories:
        table.add_row(
            trajectory.trajectory_id,
            Text(trajectory.status, STATUS_STYLES[trajectory.status]),
            reward_text(trajectory.total_reward),
            str(trajectory.num_tokens),
            Text("\n").join(_command(turn) for turn in trajectory.turns),
        )
    title = Text.assemble(("group ", "dim"), (group.group_id, "bold"), ("  task ", "dim"))
    return Group(title.append(group.task_id), table)


def reward_text(reward: float) -> Text:
    """A reward with its sign, green above zero and red below."""
    style = "green" if reward > 0 else "red" if reward < 0 else "dim"
    return Text(f"{reward:+.2f}" if reward else "0.00", style)


def version_range(oldest: int, newest: int) -> str:
    """Weight versions as `v3` or `v3–5`; a dash when nothing was sampled."""
    if newest < 0:
        return "–"
    return f"v{oldest}" if oldest == newest else f"v{oldest}–{newest}"


def _header(trajectory: Trajectory) -> Panel:
    facts = Text.assemble(
        (trajectory.status.upper(), STATUS_STYLES[trajectory.status]),
        "   reward ",
        reward_text(trajectory.total_reward),
        f"   {_count(len(trajectory.turns), 'turn')}",
        f"   {_count(trajectory.num_tokens, 'token')}",
        f"   {_versions(trajectory.turns)}",
        f"   {trajectory.seconds:.2f} s",
    )
    origin = Text.assemble(
        ("task ", "dim"),
        trajectory.task_id,
        ("   group ", "dim"),
        trajectory.group_id,
        ("   sample ", "dim"),
        str(trajectory.sample_index),
        ("   worker ", "dim"),
        trajectory.worker,
    )
    return Panel(
        Group(facts, origin),
        title=Text.assemble(("trajectory ", "dim"), (trajectory.trajectory_id, "bold")),
        title_align="left",
        border_style="dim",
        box=box.ROUNDED,
    )


def _turn(index: int, turn: Turn, before: str) -> RenderableType:
    title = Text.assemble((f"turn {index} ", "bold"), ("reward ", "dim"), reward_text(turn.reward))
    blocks: list[RenderableType] = [
        Rule(title, align="left", style="dim"),
        Text.assemble(("### ", "dim"), _command(turn), style="bold"),
    ]
    if turn.error is not None and turn.error not in turn.feedback:
        blocks.append(safe_text(f"  {turn.error}", "red"))
    if turn.program != before:
        blocks.append(render_diff(before, turn.program))
    else:
        blocks.append(Text("program unchanged", "dim italic"))
    if turn.verdict is not None:
        blocks.append(_tests(turn.verdict))
    if turn.feedback:
        blocks.append(
            Padding(
                safe_text(turn.feedback, "yellow" if turn.error is None else "red"), (0, 0, 0, 2)
            )
        )
    blocks.append(_likelihood(turn))
    return Padding(Group(*blocks), (0, 0, 1, 0))


def _command(turn: Turn) -> Text:
    """The command, or the sampled text when it was none; a cross marks one that failed."""
    mark = "" if turn.error is None else "  ✗"
    return Text.assemble(visible(turn.command or turn.action_text), (mark, "bold red"))


def _tests(verdict: Verdict) -> Text:
    line = Text("tests  ")
    for test in verdict.tests:
        passed = test.status is TestStatus.PASS
        line.append("✓ pass  " if passed else f"✗ {test.status}  ", "green" if passed else "red")
    return line.append(
        f"{verdict.passing}/{len(verdict.tests)} passed, {verdict.wall_ms:.1f} ms, {verdict.tier}",
        "dim",
    )


def _likelihood(turn: Turn) -> Text:
    tokens = len(turn.action_token_ids)
    if not tokens:
        return Text("no tokens sampled", "dim")
    mean = float(np.mean(turn.rollout_logprobs))
    return Text(
        f"{_count(tokens, 'token')}, mean log-probability {mean:.3f}, {_versions((turn,))}", "dim"
    )


def _versions(turns: tuple[Turn, ...]) -> str:
    versions = [turn.weight_versions for turn in turns if len(turn.weight_versions)]
    if not versions:
        return version_range(-1, -1)
    return version_range(min(int(v.min()) for v in versions), max(int(v.max()) for v in versions))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

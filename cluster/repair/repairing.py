"""Repairing one program: best of n episodes, with the sandbox as the referee.

The first episode is greedy; only if it fails are others sampled. An episode counts at its best
moment: a program that passes every test is a repair even if the policy went on editing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from redline.actors.evaluation import GroupSampler
from redline.actors.settings import SamplingSettings
from redline.dsl.tasks import RepairTask
from redline.replay.records import Trajectory, TrajectoryStatus, Turn
from redline.sandbox.client import SandboxClient
from redline.sandbox.records import ExecutionRequest, Limits, Verdict

_SAMPLES_AT_ONCE = 32
"""Sampled episodes that are started together, before looking whether one succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A program that an episode arrived at, and how."""

    program: str
    verdict: Verdict
    turns: tuple[Turn, ...]
    """The episode up to this program."""
    sample: int
    """0 is the greedy episode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairOutcome:
    """What all episodes came to."""

    before: Verdict
    """Of the program as it was given."""
    best: Candidate | None
    """The candidate that passes the most tests; None when none passes more than before."""
    samples: int
    """Episodes that were run; 0 for a program that passed already."""
    statuses: tuple[TrajectoryStatus, ...] = ()
    """How each episode ended, as far as it went."""

    @property
    def solved(self) -> bool:
        """Whether there is a program that passes every test."""
        return self.before.passed or (self.best is not None and self.best.verdict.passed)


async def judge(task: RepairTask, program: str, sandbox: SandboxClient, limits: Limits) -> Verdict:
    """Run a program with the task's tests; raises InfrastructureError."""
    return await sandbox.run(
        ExecutionRequest(program=program, tests=task.tests, setup=task.setup, limits=limits)
    )


async def repair(
    task: RepairTask,
    before: Verdict,
    sampler: GroupSampler,
    *,
    samples: int,
    max_turns: int,
    sampling: SamplingSettings,
) -> RepairOutcome:
    """Try up to `samples` episodes; the first is greedy, the others have the given sampling.

    `before` is the verdict of the broken program. Raises what the sampler raises.
    """
    best: Candidate | None = None
    statuses: list[TrajectoryStatus] = []
    while len(statuses) < samples:
        greedy = not statuses
        count = 1 if greedy else min(_SAMPLES_AT_ONCE, samples - len(statuses))
        group = await sampler.sample_group(
            task,
            group_id=f"repair/{len(statuses)}",
            group_size=count,
            sampling=replace(sampling, temperature=0.0) if greedy else sampling,
            max_turns=max_turns,
        )
        found = [
            candidate
            for index, trajectory in enumerate(group.trajectories)
            for candidate in candidates(trajectory, len(statuses) + index)
        ]
        best = better([best, *found], before)
        statuses += [trajectory.status for trajectory in group.trajectories]
        if best is not None and best.verdict.passed:
            break
    return RepairOutcome(before=before, best=best, samples=len(statuses), statuses=tuple(statuses))


def candidates(trajectory: Trajectory, sample: int) -> Iterable[Candidate]:
    """Every program of an episode that was executed."""
    for index, turn in enumerate(trajectory.turns):
        if turn.verdict is not None:
            yield Candidate(
                program=turn.program,
                verdict=turn.verdict,
                turns=trajectory.turns[: index + 1],
                sample=sample,
            )


def better(found: Sequence[Candidate | None], before: Verdict) -> Candidate | None:
    """The candidate with the most passing tests, in the fewest turns; None if none gained any."""
    gained = [c for c in found if c is not None and c.verdict.passing > before.passing]
    return max(gained, key=lambda c: (c.verdict.passing, -len(c.turns), -c.sample), default=None)

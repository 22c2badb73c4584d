"""Which trajectories of a batch count, their advantages, and which groups teach something.

Free of engines, so that whoever makes batches can judge them before a step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from redline.learner.advantages import estimate, has_signal
from redline.learner.advantages.returns import Float64
from redline.learner.settings import GROUP_BASELINES, LossSettings
from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus

Penalties = Mapping[str, Sequence[Float64]]
"""By trajectory id: what each action token of each turn loses of its reward."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedBatch:
    """Usable trajectories by group, and those that nothing can be made of."""

    groups: list[list[Trajectory]]
    """Large enough for a baseline; may be empty lists under estimators that need none."""
    advantages: list[list[Float64]]
    """(turns,) of every trajectory of `groups`."""
    signals: list[bool]
    """Whether each of `groups` teaches something."""
    alone: list[list[Trajectory]]
    """Groups of too few usable trajectories for a baseline; none is empty."""
    aborted: int
    non_finite: int

    @property
    def no_signal_groups(self) -> int:
        """Groups without a signal."""
        return len(self.alone) + self.signals.count(False)


def judge_groups(
    groups: Sequence[TrajectoryGroup], settings: LossSettings, penalties: Penalties | None = None
) -> JudgedBatch:
    """Advantages and signals of all groups of a step.

    Whether a group has a signal is judged without `penalties`. Under the estimator `gae`
    advantages are zero until a critic fills them in, and every group has a signal.
    """
    ended = [
        [t for t in g.trajectories if t.status is not TrajectoryStatus.ABORTED] for g in groups
    ]
    usable = [[t for t in group if _is_finite(t)] for group in ended]
    needed = 2 if settings.estimator in GROUP_BASELINES else 1
    kept = [group for group in usable if len(group) >= needed]
    advantages, signals = _advantages(kept, settings, penalties)
    return JudgedBatch(
        groups=kept,
        advantages=advantages,
        signals=signals,
        alone=[group for group in usable if 0 < len(group) < needed],
        aborted=sum(len(g.trajectories) for g in groups) - sum(map(len, ended)),
        non_finite=sum(map(len, ended)) - sum(map(len, usable)),
    )


def _advantages(
    groups: Sequence[Sequence[Trajectory]], settings: LossSettings, penalties: Penalties | None
) -> tuple[list[list[Float64]], list[bool]]:
    rewards = [[np.array([turn.reward for turn in t.turns]) for t in group] for group in groups]
    if settings.estimator == "gae":
        return [[np.zeros(len(r)) for r in group] for group in rewards], [True] * len(groups)
    tokens = [[[len(u.action_token_ids) for u in t.turns] for t in group] for group in groups]
    advantages = estimate(settings.estimator, rewards, tokens, settings.credit)
    signals = [has_signal(group) for group in advantages]
    if settings.signal == "outcome":
        mixed = [len({t.solved for t in group}) == 2 for group in groups]
        signals = [both and signal for both, signal in zip(mixed, signals, strict=True)]
    if penalties is not None:
        less = [
            [r - _penalty_of_turns(t, penalties) for t, r in zip(group, own, strict=True)]
            for group, own in zip(groups, rewards, strict=True)
        ]
        advantages = estimate(settings.estimator, less, tokens, settings.credit)
    return advantages, signals


def _penalty_of_turns(trajectory: Trajectory, penalties: Penalties) -> Float64:
    """What each turn loses; nothing where a trajectory was not scored."""
    known = penalties.get(trajectory.trajectory_id)
    if known is None:
        return np.zeros(len(trajectory.turns))
    return np.array([float(turn.sum()) for turn in known])


def _is_finite(trajectory: Trajectory) -> bool:
    return all(
        np.isfinite(turn.reward) and bool(np.isfinite(turn.rollout_logprobs).all())
        for turn in trajectory.turns
    )

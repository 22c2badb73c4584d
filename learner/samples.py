"""From trajectory groups to training samples.

Every trajectory ends as a sample or in a drop count, never in both and never in neither.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redline.learner.advantages import estimate, has_signal
from redline.learner.advantages.returns import Float64
from redline.learner.settings import GROUP_BASELINES, LossSettings
from redline.replay.records import (
    DropCount,
    DropReason,
    Float32,
    Int32,
    TrainingSample,
    Trajectory,
    TrajectoryGroup,
    TrajectoryStatus,
    Turn,
)

Penalties = Mapping[str, Sequence[Float64]]
"""By trajectory id: what each action token of each turn loses of its reward."""


class BrokenTrajectory(ValueError):
    """The arrays of a trajectory do not fit each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleBatch:
    """What a step trains on, and what it does not."""

    samples: tuple[TrainingSample, ...]
    trajectories: tuple[Trajectory, ...]
    """That each sample was made of."""
    dropped: tuple[DropCount, ...]
    no_signal_groups: int
    """Groups without a signal, dropped or not."""


def make_samples(
    groups: Sequence[TrajectoryGroup],
    settings: LossSettings,
    max_tokens: int,
    penalties: Penalties | None = None,
) -> SampleBatch:
    """Samples of all trajectories that carry signal and fit into `max_tokens`.

    Aborted trajectories are neither trained on nor part of a baseline. Trajectories that are too
    long do count for it. Whether a group has a signal is judged without `penalties`. Under the
    estimator `gae` advantages are zero until a critic fills them in, and every group has a signal.
    Raises `BrokenTrajectory` naming the trajectory whose lengths disagree.
    """
    dropped: Counter[DropReason] = Counter()
    kept = [_usable(group, dropped) for group in groups]
    needed = 2 if settings.estimator in GROUP_BASELINES else 1
    alone = [group for group in kept if 0 < len(group) < needed]
    dropped[DropReason.NO_SIGNAL] += sum(len(group) for group in alone)
    kept = [group for group in kept if len(group) >= needed]
    advantages, signals = _advantages(kept, settings, penalties)
    chosen: list[Trajectory] = []
    samples: list[TrainingSample] = []
    for group, per_trajectory, signal in zip(kept, advantages, signals, strict=True):
        for trajectory, per_turn in zip(group, per_trajectory, strict=True):
            reason = _reason_to_drop(trajectory, signal, settings, max_tokens)
            if reason is not None:
                dropped[reason] += 1
            else:
                chosen.append(trajectory)
                samples.append(make_sample(trajectory, per_turn))
    return SampleBatch(
        samples=tuple(samples),
        trajectories=tuple(chosen),
        dropped=tuple(
            DropCount(reason=reason, trajectories=n) for reason, n in dropped.items() if n
        ),
        no_signal_groups=len(alone) + signals.count(False),
    )


def _usable(group: TrajectoryGroup, dropped: Counter[DropReason]) -> list[Trajectory]:
    """Trajectories with an end and finite numbers; the others are counted."""
    ended = [t for t in group.trajectories if t.status is not TrajectoryStatus.ABORTED]
    dropped[DropReason.ABORTED] += len(group.trajectories) - len(ended)
    finite = [t for t in ended if _is_finite(t)]
    dropped[DropReason.NON_FINITE] += len(ended) - len(finite)
    return finite


def _advantages(
    groups: Sequence[Sequence[Trajectory]], settings: LossSettings, penalties: Penalties | None
) -> tuple[list[list[Float64]], list[bool]]:
    """Advantages of every turn, and whether each group has a signal."""
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
            [r - penalty_of_turns(t, penalties) for t, r in zip(group, own, strict=True)]
            for group, own in zip(groups, rewards, strict=True)
        ]
        advantages = estimate(settings.estimator, less, tokens, settings.credit)
    return advantages, signals


def penalty_of_turns(trajectory: Trajectory, penalties: Penalties) -> Float64:
    """What each turn loses; nothing where a trajectory was not scored."""
    known = penalties.get(trajectory.trajectory_id)
    if known is None:
        return np.zeros(len(trajectory.turns))
    return np.array([float(turn.sum()) for turn in known])


def _reason_to_drop(
    trajectory: Trajectory, signal: bool, settings: LossSettings, max_tokens: int
) -> DropReason | None:
    if not signal and settings.no_signal == "drop":
        return DropReason.NO_SIGNAL
    if trajectory.num_tokens > max_tokens:
        return DropReason.TOO_LONG
    if not any(len(turn.action_token_ids) for turn in trajectory.turns):
        return DropReason.NO_SIGNAL
    return None


def make_sample(trajectory: Trajectory, advantages: Float64) -> TrainingSample:
    """One trajectory with the advantage of each turn spread over its action tokens.

    Raises `BrokenTrajectory` naming the trajectory when lengths disagree.
    """
    if len(advantages) != len(trajectory.turns):
        raise BrokenTrajectory(
            f"trajectory {trajectory.trajectory_id} has {len(trajectory.turns)} turns"
            f" and {len(advantages)} advantages"
        )
    tokens: list[Int32] = []
    masks: list[Float64] = []
    logprobs: list[Float32 | Float64] = []
    spread: list[Float64] = []
    versions: list[Int32 | Float64] = []
    indices: list[NDArray[np.int64]] = []
    for index, (turn, advantage) in enumerate(zip(trajectory.turns, advantages, strict=True)):
        _check_lengths(trajectory, index, turn)
        before, after = len(turn.state_token_ids), len(turn.action_token_ids)
        blank = np.zeros(before)
        tokens += [turn.state_token_ids, turn.action_token_ids]
        masks += [blank, np.ones(after)]
        logprobs += [blank, turn.rollout_logprobs]
        spread += [blank, np.full(after, advantage)]
        versions += [blank - 1, turn.weight_versions]
        indices += [np.full(before + after, index)]
    return TrainingSample(
        group_id=trajectory.group_id,
        token_ids=np.concatenate(tokens).astype(np.int32),
        loss_mask=np.concatenate(masks).astype(np.bool_),
        rollout_logprobs=np.concatenate(logprobs).astype(np.float32),
        advantages=np.concatenate(spread).astype(np.float32),
        weight_versions=np.concatenate(versions).astype(np.int32),
        turn_index=np.concatenate(indices).astype(np.int32),
    )


def _check_lengths(trajectory: Trajectory, index: int, turn: Turn) -> None:
    expected = len(turn.action_token_ids)
    for name in ("rollout_logprobs", "weight_versions"):
        got = len(getattr(turn, name))
        if got != expected:
            raise BrokenTrajectory(
                f"trajectory {trajectory.trajectory_id}, turn {index}: {name} has {got} entries,"
                f" expected one for each of {expected} action tokens"
            )
    if index == 0 and len(turn.state_token_ids) == 0:
        raise BrokenTrajectory(
            f"trajectory {trajectory.trajectory_id}: the first state has no tokens, so nothing"
            " predicts the first action token"
        )


def _is_finite(trajectory: Trajectory) -> bool:
    return all(
        np.isfinite(turn.reward) and bool(np.isfinite(turn.rollout_logprobs).all())
        for turn in trajectory.turns
    )

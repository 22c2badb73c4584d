"""From trajectory groups to training samples.

Every trajectory ends as a sample or in a drop count, never in both and never in neither.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redline.learner.advantages.returns import Float64
from redline.learner.settings import LossSettings
from redline.learner.signal import Penalties, judge_groups
from redline.replay.records import (
    DropCount,
    DropReason,
    Float32,
    Int32,
    TrainingSample,
    Trajectory,
    TrajectoryGroup,
    Turn,
)


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
    judged = judge_groups(groups, settings, penalties)
    dropped: Counter[DropReason] = Counter()
    dropped[DropReason.ABORTED] = judged.aborted
    dropped[DropReason.NON_FINITE] = judged.non_finite
    dropped[DropReason.NO_SIGNAL] = sum(len(group) for group in judged.alone)
    chosen: list[Trajectory] = []
    samples: list[TrainingSample] = []
    parts = zip(judged.groups, judged.advantages, judged.signals, strict=True)
    for group, per_trajectory, signal in parts:
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
        no_signal_groups=judged.no_signal_groups,
    )


def _reason_to_drop(
    trajectory: Trajectory, signal: bool, settings: LossSettings, max_tokens: int
) -> DropReason | None:
    if not signal and settings.no_signal != "keep":
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

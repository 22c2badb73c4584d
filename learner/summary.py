"""The record of one training step, from its groups, samples and figures."""

from collections.abc import Sequence

import numpy as np
import torch

from redline.learner.policy_step import PolicyFigures
from redline.learner.progress import LearnerProgress
from redline.learner.training_step import StepOutcome
from redline.learner.utilisation import utilisation
from redline.replay.records import StepResult, TrainingSample, TrajectoryGroup, TrajectoryStatus

NOTHING = PolicyFigures(
    pg_loss=0.0,
    kl=0.0,
    entropy=0.0,
    clipfrac=0.0,
    mismatch_kl=0.0,
    masked_fraction=0.0,
    value_loss=0.0,
    grad_norm=0.0,
    learning_rate=0.0,
    tried_steps=0,
    applied_steps=0,
    skipped_steps=0,
    skipped_at_end=0,
    flops=0.0,
    seconds_update=0.0,
)


def make_step_result(
    *,
    groups: Sequence[TrajectoryGroup],
    outcome: StepOutcome,
    before: LearnerProgress,
    after: LearnerProgress,
    epochs: int,
    seconds_lease: float,
    seconds_train: float,
    device: torch.device,
    ranks: int,
) -> StepResult:
    """Rewards and turns over all finished trajectories, losses over those trained on."""
    finished = [
        trajectory
        for group in groups
        for trajectory in group.trajectories
        if trajectory.status is not TrajectoryStatus.ABORTED
    ]
    batch, known = outcome.batch, outcome.figures or NOTHING
    staleness = _staleness(batch.samples, before.weight_version)
    return StepResult(
        step=after.step,
        weight_version=after.weight_version,
        groups=len(groups),
        trajectories=len(batch.samples),
        tokens=epochs * sum(len(s.token_ids) for s in batch.samples),
        action_tokens=epochs * sum(int(s.loss_mask.sum()) for s in batch.samples),
        reward_mean=_mean([t.total_reward for t in finished]),
        solve_rate=_mean([float(t.solved) for t in finished]),
        num_turns=_mean([float(len(t.turns)) for t in finished]),
        pg_loss=known.pg_loss,
        kl=known.kl,
        entropy=known.entropy,
        clipfrac=known.clipfrac,
        mismatch_kl=known.mismatch_kl,
        grad_norm=known.grad_norm,
        learning_rate=known.learning_rate,
        staleness_mean=_mean(staleness),
        staleness_max=int(max(staleness, default=0)),
        dropped=batch.dropped,
        seconds_lease=seconds_lease,
        seconds_train=seconds_train,
        skipped=known.applied_steps == 0,
        skipped_steps=after.skipped_steps,
        no_signal_groups=batch.no_signal_groups,
        masked_fraction=known.masked_fraction,
        value_loss=known.value_loss,
        explained_variance=outcome.explained_variance,
        seconds_update=known.seconds_update,
        mfu=utilisation(known.flops, seconds_train, device, ranks),
    )


def _staleness(samples: Sequence[TrainingSample], version: int) -> list[float]:
    """Versions between the learner and the oldest token of each sample."""
    return [float(version - s.weight_versions[s.loss_mask].min()) for s in samples]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0

"""One training step from groups to figures: rewards, advantages, updates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from redline.learner.critic import Critic
from redline.learner.critic_step import judge_batch
from redline.learner.engine import TrainingEngine
from redline.learner.policy_step import PolicyFigures, run_policy_step
from redline.learner.ranks import divide, present_ranks
from redline.learner.reference import Reference
from redline.learner.reward_penalty import RewardPenalty, reward_penalty
from redline.learner.samples import SampleBatch, make_samples
from redline.learner.settings import LearnerSettings
from redline.replay.records import TrajectoryGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """What a step trained on and measured."""

    batch: SampleBatch
    figures: PolicyFigures | None
    """None when there was nothing to train on."""
    explained_variance: float
    """Of the critic before the step; 0 without one."""


def take_step(
    groups: Sequence[TrajectoryGroup],
    *,
    engine: TrainingEngine,
    reference: Reference | None,
    critic: Critic | None,
    settings: LearnerSettings,
    first_index: int,
) -> StepOutcome:
    """Train on `groups` once; `first_index` counts the optimizer steps before."""
    penalty = _penalty(groups, reference, settings)
    by_trajectory = None if penalty is None else penalty.by_trajectory
    batch = make_samples(groups, settings.loss, settings.micro_batch_tokens, by_trajectory)
    if not batch.samples:
        return StepOutcome(batch=batch, figures=None, explained_variance=0.0)
    division = divide(
        present_ranks(),
        [trajectory.group_id for trajectory in batch.trajectories],
        [len(sample.token_ids) for sample in batch.samples],
    )
    judged = None
    if critic is not None:
        judged = judge_batch(engine, critic, batch, settings, division, by_trajectory)
        batch = replace(batch, samples=judged.samples)
    figures = run_policy_step(
        engine,
        reference if penalty is None else None,
        batch.samples,
        settings,
        first_index,
        division,
        critic,
        judged.values if judged else (),
    )
    if penalty is not None:
        figures = replace(figures, kl=penalty.kl)
    variance = judged.explained_variance if judged else 0.0
    return StepOutcome(batch=batch, figures=figures, explained_variance=variance)


def _penalty(
    groups: Sequence[TrajectoryGroup], reference: Reference | None, settings: LearnerSettings
) -> RewardPenalty | None:
    """What distance to the reference costs, if that is part of the reward."""
    if reference is None or settings.loss.kl_in != "reward":
        return None
    everything = replace(settings.loss, no_signal="keep")
    batch = make_samples(groups, everything, settings.micro_batch_tokens)
    return reward_penalty(reference, batch, settings)

"""The distance to the reference as part of the reward (`kl_in` = `reward`)."""

from dataclasses import dataclass

import numpy as np
import torch

from redline.learner.advantages.returns import Float64
from redline.learner.batches.micro_batches import resolve_packing
from redline.learner.losses.kl import kl_estimate
from redline.learner.ranks import divide, present_ranks, scoring_batches
from redline.learner.reference import Reference
from redline.learner.samples import SampleBatch
from redline.learner.settings import LearnerSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RewardPenalty:
    """What every action token of a step loses of its reward."""

    by_trajectory: dict[str, list[Float64]]
    """One array per turn."""
    kl: float
    """Mean estimate of a token, without coefficient."""


@torch.no_grad()
def reward_penalty(
    reference: Reference, batch: SampleBatch, settings: LearnerSettings
) -> RewardPenalty:
    """kl_coef times the estimate of KL(sampler || reference) at each action token.

    The sampler is the policy that the tokens were drawn from, so the estimate is one of its
    distance, whatever became of the learner since. `batch` holds all trajectories that can be
    trained on; only its tokens and log-probabilities are used.
    """
    samples = batch.samples
    estimates: list[Float64] = [np.empty(0)] * len(samples)
    groups = [s.group_id for s in samples]
    division = divide(present_ranks(), groups, [len(s.token_ids) for s in samples])
    for micro in scoring_batches(
        division,
        [s.token_ids for s in samples],
        [s.loss_mask for s in samples],
        token_budget=settings.micro_batch_tokens,
        packing=resolve_packing(settings.packing, reference.can_pack),
        groups=groups,
    ):
        chosen = [samples[i] for i in micro.members]
        reference_logprobs = reference.logprobs(micro.tokens).double().cpu()
        drawn = torch.from_numpy(np.concatenate([s.rollout_logprobs[s.loss_mask] for s in chosen]))
        found = kl_estimate(reference_logprobs - drawn.double(), settings.loss.kl_estimator)
        ends = np.cumsum([int(s.loss_mask.sum()) for s in chosen])
        for index, own in zip(micro.members, np.split(found.numpy(), ends[:-1]), strict=True):
            estimates[index] = own
    estimates = division.completed(estimates)
    return RewardPenalty(
        by_trajectory={
            trajectory.trajectory_id: np.split(
                settings.loss.kl_coef * own,
                np.cumsum([len(turn.action_token_ids) for turn in trajectory.turns])[:-1],
            )
            for trajectory, own in zip(batch.trajectories, estimates, strict=True)
        },
        kl=float(np.concatenate(estimates).mean()) if estimates else 0.0,
    )

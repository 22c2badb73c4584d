"""The whole objective of a micro-batch, put together from its parts by setting."""

from dataclasses import dataclass
from typing import Protocol

import torch

from redline.learner.losses.cispo import cispo_surrogate
from redline.learner.losses.clipped import clipped_surrogate
from redline.learner.losses.gspo import sequence_ratio
from redline.learner.losses.kl import k3, kl_estimate
from redline.learner.losses.mismatch import importance_weights, mismatch_ratio, outside_band
from redline.learner.losses.ratios import ratio_of
from redline.learner.registries import SURROGATES
from redline.learner.settings import LossSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicyLoss:
    """The loss of a micro-batch and the sums that its metrics are made of."""

    total: torch.Tensor  # () to be differentiated
    policy: torch.Tensor  # () its policy-gradient part
    kl: torch.Tensor  # () weighted estimate of the distance to the reference, without coefficient
    entropy: torch.Tensor  # () weighted
    clipped: torch.Tensor  # () number of tokens whose ratio was clipped
    mismatch: torch.Tensor  # () sum of k3 between rollout policy and learner
    masked: torch.Tensor  # () number of tokens outside the mismatch band


def policy_loss(
    *,
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor | None,
    rollout_logprobs: torch.Tensor,
    reference_logprobs: torch.Tensor | None,
    advantages: torch.Tensor,
    entropy: torch.Tensor,
    weights: torch.Tensor,
    sequence: torch.Tensor,
    settings: LossSettings,
) -> PolicyLoss:
    """Policy gradient + kl_coef * KL - entropy_coef * entropy, aggregated by `weights`.

    `old_logprobs` are the learner's before the first update on this batch; None means that this is
    that update. `sequence` (n,) says which row of the micro-batch a token is from.
    """
    learner = logprobs.detach() if old_logprobs is None else old_logprobs
    old = rollout_logprobs if settings.old_policy == "sampler" else learner
    per_token, clipped = surrogate(logprobs, old, advantages, sequence, settings)
    gap = mismatch_ratio(learner, rollout_logprobs, sequence, settings.mismatch_level)
    correction, outside = importance_weights(gap, settings.tis_cap), outside_band(gap, settings)
    policy = (weights * correction * per_token.masked_fill(outside, 0.0)).sum()
    mean_entropy = (weights * entropy).sum()
    total = policy
    kl = torch.zeros_like(policy)
    if reference_logprobs is not None:
        kl = (weights * kl_estimate(reference_logprobs - logprobs, settings.kl_estimator)).sum()
        if settings.kl_in == "loss":
            total = total + settings.kl_coef * kl
    if settings.entropy_coef:
        total = total - settings.entropy_coef * mean_entropy
    return PolicyLoss(
        total=total,
        policy=policy.detach(),
        kl=kl.detach(),
        entropy=mean_entropy.detach(),
        clipped=clipped.sum().detach(),
        mismatch=k3(learner - rollout_logprobs).sum().detach(),
        masked=outside.sum(),
    )


def surrogate(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    sequence: torch.Tensor,
    settings: LossSettings,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of each token by `settings.kind`, and where it was clipped; ValueError if unknown."""
    return SURROGATES[settings.kind](logprobs, old_logprobs, advantages, sequence, settings)


class Surrogate(Protocol):
    """A policy-gradient loss; all tensors are (n,)."""

    def __call__(
        self,
        logprobs: torch.Tensor,
        old_logprobs: torch.Tensor,
        advantages: torch.Tensor,
        sequence: torch.Tensor,
        settings: LossSettings,
        /,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of each token, to be differentiated, and whether it was clipped (bool)."""
        ...


def _clipped(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    _: torch.Tensor,
    settings: LossSettings,
) -> tuple[torch.Tensor, torch.Tensor]:
    return _clip(ratio_of(logprobs - old_logprobs), advantages, settings)


def _gspo(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    sequence: torch.Tensor,
    settings: LossSettings,
) -> tuple[torch.Tensor, torch.Tensor]:
    return _clip(sequence_ratio(logprobs, old_logprobs, sequence), advantages, settings)


def _clip(
    ratio: torch.Tensor, advantages: torch.Tensor, settings: LossSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    low, high = settings.clip_low, settings.clip_high
    return clipped_surrogate(ratio, advantages, low, high, settings.dual_clip)


def _cispo(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    _: torch.Tensor,
    settings: LossSettings,
) -> tuple[torch.Tensor, torch.Tensor]:
    ratio = ratio_of(logprobs - old_logprobs)
    return cispo_surrogate(logprobs, ratio, advantages, settings.clip_low, settings.clip_high)


SURROGATES.add("clipped", _clipped)
SURROGATES.add("gspo", _gspo)
SURROGATES.add("cispo", _cispo)

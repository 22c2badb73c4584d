"""One policy-gradient step: micro-batches, losses, epochs and their figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from redline.learner.critic import Critic, CriticStep
from redline.learner.critic_step import ValueTargets
from redline.learner.engine import EngineStep, TrainingEngine
from redline.learner.losses import PolicyLoss, policy_loss, token_weights
from redline.learner.micro_batches import micro_batches as batches_of
from redline.learner.micro_batches import resolve_packing
from redline.learner.packing import TokenBatch, gather_wanted
from redline.learner.reference import Reference
from redline.learner.scorer import TokenScores
from redline.learner.settings import LearnerSettings, LossSettings
from redline.replay.records import TrainingSample


@dataclass(slots=True, kw_only=True, eq=False)
class MicroBatch:
    """Samples of one forward and backward; n is the number of their action tokens."""

    tokens: TokenBatch
    advantages: torch.Tensor  # (n,)
    rollout_logprobs: torch.Tensor  # (n,)
    weights: torch.Tensor  # (n,)
    reference_logprobs: torch.Tensor | None = None  # (n,)
    old_logprobs: torch.Tensor | None = None  # (n,)
    values: "MicroValues | None" = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MicroValues:
    """The critic's part of a micro-batch; m is the number of its states."""

    old_values: torch.Tensor  # (m,)
    targets: torch.Tensor  # (m,)
    weights: torch.Tensor  # (m,) sum to 1 over the step, 0 where a state has no target


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFigures:
    """What one policy step measured, over its action tokens and all epochs."""

    pg_loss: float
    kl: float
    entropy: float
    clipfrac: float
    mismatch_kl: float
    masked_fraction: float
    """Tokens outside the band of ratios between learner and sampler."""
    value_loss: float
    grad_norm: float
    """Of the last optimizer step."""
    learning_rate: float
    tried_steps: int
    applied_steps: int
    """Optimizer steps that changed the policy."""
    skipped_steps: int
    """Those in which policy or critic was left alone for a non-finite loss or gradient."""
    skipped_at_end: int
    """How many of those were the last ones, without one that worked between them."""


def run_policy_step(
    engine: TrainingEngine,
    reference: Reference | None,
    samples: Sequence[TrainingSample],
    settings: LearnerSettings,
    first_index: int,
    critic: Critic | None = None,
    values: Sequence[ValueTargets] = (),
) -> PolicyFigures:
    """Train `epochs_per_batch` optimizer steps on `samples`; `first_index` counts those before.

    With a critic, `values` has what it is to learn of each sample. A micro-batch whose loss is not
    finite spoils the gradient on purpose, so that all ranks leave the step out together; it does
    not enter the figures.
    """
    can_pack = engine.can_pack and (reference is None or reference.can_pack)
    packing = resolve_packing(settings.packing, can_pack)
    micro_batches = make_micro_batches(samples, settings, packing, engine.device, values)
    for micro in micro_batches:
        _add_fixed_logprobs(engine, reference, micro, settings)
    sums = torch.zeros(7)  # policy loss, kl, entropy, clipped tokens, mismatch, masked, value loss
    steps: list[EngineStep] = []
    critic_steps: list[CriticStep] = []
    for epoch in range(settings.epochs_per_batch):
        for micro in micro_batches:
            sums += _backward(engine, critic, micro, settings.loss)
        steps.append(engine.step(first_index + epoch))
        if critic is not None:
            critic_steps.append(critic.step())
    sums /= settings.epochs_per_batch
    return _figures(sums, steps, critic_steps, sum(int(s.loss_mask.sum()) for s in samples))


def _backward(
    engine: TrainingEngine, critic: Critic | None, micro: MicroBatch, settings: LossSettings
) -> torch.Tensor:
    """Gradients of one micro-batch; returns what it adds to the figures, (7,)."""
    scores = engine.score(micro.tokens, with_entropy=True)
    loss = _loss(scores, micro, settings)
    parts = (loss.policy, loss.kl, loss.entropy, loss.clipped, loss.mismatch, loss.masked)
    figures = torch.zeros(7)
    figures[:6] = torch.stack([part.float() for part in parts]).cpu()
    total = loss.total
    if not bool(torch.isfinite(total)):
        total = scores.logprobs.sum() * float("nan")
    engine.backward(total)
    if critic is not None and micro.values is not None:
        known = micro.values
        figures[6] = critic.backward(
            scores.hidden, known.old_values, known.targets, known.weights
        ).cpu()
    return figures.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def _figures(
    sums: torch.Tensor,
    steps: Sequence[EngineStep],
    critic_steps: Sequence[CriticStep],
    action_tokens: int,
) -> PolicyFigures:
    policy, kl, entropy, clipped, mismatch, masked, value = sums.tolist()
    worked = [step.applied for step in steps]
    for index, step in enumerate(critic_steps):
        worked[index] = worked[index] and step.applied
    return PolicyFigures(
        pg_loss=policy,
        kl=kl,
        entropy=entropy,
        clipfrac=clipped / action_tokens,
        mismatch_kl=mismatch / action_tokens,
        masked_fraction=masked / action_tokens,
        value_loss=value,
        grad_norm=steps[-1].grad_norm,
        learning_rate=steps[-1].learning_rate,
        tried_steps=len(steps),
        applied_steps=sum(step.applied for step in steps),
        skipped_steps=worked.count(False),
        skipped_at_end=next((n for n, ok in enumerate(reversed(worked)) if ok), len(worked)),
    )


def make_micro_batches(
    samples: Sequence[TrainingSample],
    settings: LearnerSettings,
    packing: str,
    device: torch.device,
    values: Sequence[ValueTargets] = (),
) -> list[MicroBatch]:
    """Samples under the token budget, with token weights of the whole step.

    `packing` is one of `PACKINGS` but not `auto`.
    """
    counts = torch.tensor([int(sample.loss_mask.sum()) for sample in samples])
    states = sum(int(v.trained.sum()) for v in values)
    micro_batches = []
    for batch in batches_of(
        [s.token_ids for s in samples],
        [s.loss_mask for s in samples],
        token_budget=settings.micro_batch_tokens,
        packing=packing,
        groups=[s.group_id for s in samples],
        states=[v.states for v in values],
    ):
        chosen = [samples[i] for i in batch.members]
        masks = [s.loss_mask for s in chosen]
        sequence = torch.tensor(batch.members)[batch.tokens.sequence]
        advantages = gather_wanted([s.advantages for s in chosen], masks)
        rollout = gather_wanted([s.rollout_logprobs for s in chosen], masks)
        judged = [values[i] for i in batch.members] if values else []
        micro_batches.append(
            MicroBatch(
                tokens=batch.tokens.to(device),
                advantages=torch.from_numpy(advantages.astype(np.float32)).to(device),
                rollout_logprobs=torch.from_numpy(rollout.astype(np.float32)).to(device),
                weights=token_weights(sequence, counts, settings.loss).to(device),
                values=_micro_values(judged, states, device) if judged else None,
            )
        )
    return micro_batches


def _micro_values(judged: Sequence[ValueTargets], states: int, device: torch.device) -> MicroValues:
    """The critic's part of these samples; every one of the step's `states` weighs alike."""

    def joined(parts: Sequence[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.concatenate(parts).astype(np.float32)).to(device)

    return MicroValues(
        old_values=joined([v.old_values for v in judged]),
        targets=joined([v.targets for v in judged]),
        weights=joined([v.trained for v in judged]) / states,
    )


@torch.no_grad()
def _add_fixed_logprobs(
    engine: TrainingEngine,
    reference: Reference | None,
    micro: MicroBatch,
    settings: LearnerSettings,
) -> None:
    """Score with the reference, and with the policy where a second epoch will need it."""
    if reference is not None:
        micro.reference_logprobs = reference.logprobs(micro.tokens)
    if settings.epochs_per_batch > 1:
        micro.old_logprobs = engine.score(micro.tokens).logprobs


def _loss(scores: TokenScores, micro: MicroBatch, settings: LossSettings) -> PolicyLoss:
    return policy_loss(
        logprobs=scores.logprobs,
        old_logprobs=micro.old_logprobs,
        rollout_logprobs=micro.rollout_logprobs,
        reference_logprobs=micro.reference_logprobs,
        advantages=micro.advantages,
        entropy=scores.entropy,
        weights=micro.weights,
        sequence=micro.tokens.sequence,
        settings=settings,
    )

"""One policy-gradient step: micro-batches, losses, epochs and their figures."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from redline.learner.batches.micro_batches import micro_batches as batches_of
from redline.learner.batches.micro_batches import resolve_packing
from redline.learner.batches.packing import TokenBatch, gather_wanted
from redline.learner.critic import Critic, CriticStep
from redline.learner.critic_step import NO_STATES, ValueTargets
from redline.learner.engine import EngineStep, TrainingEngine
from redline.learner.losses import PolicyLoss, policy_loss, token_weights
from redline.learner.ranks import Division, idle_sample
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
    flops: float
    """Operations of all forwards and backwards; see `utilisation`."""
    seconds_update: float
    """Time of forwards, backwards and optimizer steps."""


def run_policy_step(
    engine: TrainingEngine,
    reference: Reference | None,
    samples: Sequence[TrainingSample],
    settings: LearnerSettings,
    first_index: int,
    division: Division,
    critic: Critic | None = None,
    values: Sequence[ValueTargets] = (),
) -> PolicyFigures:
    """Train `epochs_per_batch` optimizer steps on `samples`; `first_index` counts those before.

    `samples` are those of all ranks, and so are the figures. With a critic, `values` has what it is
    to learn of each sample. A micro-batch whose loss is not finite spoils the gradient on purpose,
    so that all ranks leave the step out together; it does not enter the figures.
    """
    can_pack = engine.can_pack and (reference is None or reference.can_pack)
    packing = resolve_packing(settings.packing, can_pack)
    micro_batches = _my_micro_batches(samples, settings, packing, engine.device, division, values)
    if reference is not None:
        for micro in micro_batches:
            micro.reference_logprobs = reference.logprobs(micro.tokens)
    sums = torch.zeros(7)  # policy loss, kl, entropy, clipped tokens, mismatch, masked, value loss
    steps: list[EngineStep] = []
    critic_steps: list[CriticStep] = []
    began = time.perf_counter()
    for epoch in range(settings.epochs_per_batch):
        for micro in micro_batches:
            sums += _backward(engine, critic, micro, settings.loss, division.ranks.size)
        steps.append(engine.step(first_index + epoch))
        if critic is not None:
            critic_steps.append(critic.step())
    seconds = time.perf_counter() - began
    sums = division.summed(sums) / settings.epochs_per_batch
    flops = torch.tensor(_flops(engine, micro_batches), dtype=torch.float64)
    return _figures(
        sums,
        steps,
        critic_steps,
        action_tokens=sum(int(s.loss_mask.sum()) for s in samples),
        flops=settings.epochs_per_batch * float(division.summed(flops)),
        seconds=seconds,
    )


def _flops(engine: TrainingEngine, micro_batches: Sequence[MicroBatch]) -> float:
    """Operations of one forward and backward of this rank's micro-batches."""
    batches = [micro.tokens for micro in micro_batches]
    return engine.shape.flops(
        tokens=sum(batch.num_tokens for batch in batches),
        wanted=sum(batch.num_wanted for batch in batches),
        pairs=sum(batch.num_pairs for batch in batches),
    )


def _my_micro_batches(
    samples: Sequence[TrainingSample],
    settings: LearnerSettings,
    packing: str,
    device: torch.device,
    division: Division,
    values: Sequence[ValueTargets],
) -> list[MicroBatch]:
    """The micro-batches of this rank's samples, and idle ones until all ranks have as many."""
    own = make_micro_batches(samples, settings, packing, device, values, division.mine)
    missing = division.idle(len(own))
    if not missing:
        return own
    idle_values = [*values, NO_STATES] if values else ()
    idle = make_micro_batches(
        [*samples, idle_sample(samples[0])], settings, packing, device, idle_values, [len(samples)]
    )
    return own + idle * missing


def _backward(
    engine: TrainingEngine,
    critic: Critic | None,
    micro: MicroBatch,
    settings: LossSettings,
    ranks: int,
) -> torch.Tensor:
    """Gradients of one micro-batch; returns what it adds to the figures, (7,).

    The engine averages gradients over ranks, while token weights make them add up.
    """
    scores = engine.score(micro.tokens, with_entropy=True)
    loss = _loss(scores, micro, settings)
    if micro.old_logprobs is None:
        micro.old_logprobs = scores.logprobs.detach()  # for the epochs after this one
    parts = (loss.policy, loss.kl, loss.entropy, loss.clipped, loss.mismatch, loss.masked)
    figures = torch.zeros(7)
    figures[:6] = torch.stack([part.float() for part in parts]).cpu()
    total = loss.total
    if not bool(torch.isfinite(total)):
        total = scores.logprobs.sum() * float("nan")
    engine.backward(total * ranks)
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
    *,
    action_tokens: int,
    flops: float,
    seconds: float,
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
        flops=flops,
        seconds_update=seconds,
    )


def make_micro_batches(
    samples: Sequence[TrainingSample],
    settings: LearnerSettings,
    packing: str,
    device: torch.device,
    values: Sequence[ValueTargets] = (),
    mine: Sequence[int] | None = None,
) -> list[MicroBatch]:
    """Samples under the token budget, with token weights of the whole step.

    `packing` is one of `PACKINGS` but not `auto`. Only of the samples with the ascending indices
    `mine`, if that is given.
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
        mine=mine,
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

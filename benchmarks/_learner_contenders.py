"""Ways to take the same training step: redline's, and bare PyTorch loops.

A bare loop trains the same model on micro-batches of the same samples in the same precision with
the same losses, clipping and optimizer, prepared beforehand: what it does not do is make samples,
measure entropy and mismatch, guard the step and run DeepSpeed.

    bare                padded micro-batches and the model's own attention
    bare_shared_prefix  the very micro-batches and attention that `shared_prefix` uses
    padded              redline's policy step on padded micro-batches
    shared_prefix       redline's policy step as by default: what a group begins with computed once
    sft                 redline's supervised step over the same sequences
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from redline.learner import sft
from redline.learner.batches.attention import use_packed_attention
from redline.learner.engine import TrainingEngine
from redline.learner.learner import Learner
from redline.learner.losses.clipped import clipped_surrogate
from redline.learner.model import load_policy
from redline.learner.policy_step import MicroBatch, make_micro_batches
from redline.learner.samples import make_samples
from redline.learner.settings import DeepSpeedSettings, LearnerSettings
from redline.learner.sft import SftSequence
from redline.replay.records import TrajectoryGroup

NAMES = ("bare", "padded", "bare_shared_prefix", "shared_prefix", "sft")


def contender(
    name: str, model: str, settings: LearnerSettings, groups: list[TrajectoryGroup]
) -> Callable[[], object]:
    """One of `NAMES`, set up: each call takes one step on all groups."""
    torch.set_num_threads(settings.threads)
    if name in ("padded", "shared_prefix"):
        learner = Learner(model_path=model, settings=replace(settings, packing=name))
        learner.start()
        return lambda: learner.train_step(groups)
    if name == "sft":
        return _sft_step(model, settings, groups)
    packing = name.removeprefix("bare_") if name != "bare" else "padded"
    samples = make_samples(groups, settings.loss, settings.micro_batch_tokens).samples
    batches = make_micro_batches(samples, settings, packing, torch.device("cpu"))
    return BareLoop(model, settings, batches).step


class BareLoop:
    """The same step, written down without redline's engine."""

    def __init__(self, model: str, settings: LearnerSettings, batches: list[MicroBatch]) -> None:
        self._policy = load_policy(model, settings.dtype).train()
        if batches[0].tokens.layout is not None:
            use_packed_attention(self._policy)
        self._optimizer = torch.optim.AdamW(self._policy.parameters(), lr=1e-5, fused=True)
        self._autocast = settings.autocast
        self._batches = batches

    def step(self) -> None:
        """Forward and backward over all micro-batches, then one clipped step."""
        for batch in self._batches:
            tokens = batch.tokens
            packed = {} if tokens.layout is None else {
                "position_ids": tokens.position_ids, "packed_layout": tokens.layout
            }  # fmt: skip
            with torch.autocast("cpu", torch.bfloat16, enabled=self._autocast):
                hidden = self._policy.model(
                    tokens.input_ids, use_cache=False, **packed
                ).last_hidden_state
                logits = self._policy.lm_head(hidden.flatten(0, 1)[tokens.sources])
            targets = tokens.input_ids.flatten()[tokens.targets]
            logprobs = -torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
            ratio = torch.exp(logprobs - logprobs.detach())
            losses, _ = clipped_surrogate(ratio, batch.advantages, 0.2, 0.28)
            (losses * batch.weights).sum().backward()
        torch.nn.utils.clip_grad_norm_(self._policy.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()


def _sft_step(
    model: str, settings: LearnerSettings, groups: list[TrajectoryGroup]
) -> Callable[[], None]:
    samples = make_samples(groups, settings.loss, settings.micro_batch_tokens).samples
    sequences = [
        SftSequence(
            token_ids=s.token_ids, weights=s.loss_mask.astype(np.float32), is_action=s.loss_mask
        )
        for s in samples
    ]
    engine = TrainingEngine(
        load_policy(model, settings.dtype),
        optimizer=settings.optimizer,
        deepspeed=DeepSpeedSettings(),
        autocast=settings.autocast,
    )

    def step() -> None:
        sft._accumulate(engine, sequences, settings.micro_batch_tokens)
        engine.step(0)

    return step

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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from transformers import PreTrainedModel

from redline.learner import sft
from redline.learner.batches.attention import use_packed_attention
from redline.learner.engine import TrainingEngine
from redline.learner.learner import Learner
from redline.learner.lora import add_adapter
from redline.learner.losses.clipped import clipped_surrogate
from redline.learner.model import load_policy
from redline.learner.policy_step import MicroBatch, make_micro_batches
from redline.learner.samples import make_samples
from redline.learner.settings import DeepSpeedSettings, LearnerSettings
from redline.learner.sft import SftSequence
from redline.learner.utilisation import ModelShape, model_shape
from redline.replay.records import TrainingSample, TrajectoryGroup

NAMES = ("bare", "padded", "bare_shared_prefix", "shared_prefix", "sft")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
"""Where DeepSpeed computes, and the bare loops beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A way to take the step, set up."""

    step: Callable[[], object]
    """One step on all groups."""
    shape: ModelShape
    packing: str


def contender(
    name: str, model: str, settings: LearnerSettings, groups: list[TrajectoryGroup]
) -> Contender:
    """One of `NAMES`, set up."""
    torch.set_num_threads(settings.threads)
    samples = make_samples(groups, settings.loss, settings.micro_batch_tokens).samples
    if name in ("padded", "shared_prefix"):
        learner = Learner(model_path=model, settings=replace(settings, packing=name))
        learner.start()
        assert learner._engine is not None
        packing, shape = name, learner._engine.shape
        step: Callable[[], object] = lambda: learner.train_step(groups)  # noqa: E731
    elif name == "sft":
        engine = _sft_engine(model, settings)
        packing, shape = "packed", engine.shape
        step = _sft_step(engine, settings, samples)
    else:
        packing = name.removeprefix("bare_") if name != "bare" else "padded"
        loop = BareLoop(model, settings, make_micro_batches(samples, settings, packing, DEVICE))
        shape, step = loop.shape, loop.step
    return Contender(step=step, shape=shape, packing=packing)


def step_flops(
    chosen: Contender, settings: LearnerSettings, groups: list[TrajectoryGroup]
) -> float:
    """Operations of one step of a contender; see `redline.learner.utilisation`."""
    samples = make_samples(groups, settings.loss, settings.micro_batch_tokens).samples
    batches = [
        micro.tokens
        for micro in make_micro_batches(samples, settings, chosen.packing, torch.device("cpu"))
    ]
    return chosen.shape.flops(
        tokens=sum(batch.num_tokens for batch in batches),
        wanted=sum(batch.num_wanted for batch in batches),
        pairs=sum(batch.num_pairs for batch in batches),
    )


def wait_for_device() -> None:
    """Return when everything asked of a GPU is done."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


class BareLoop:
    """The same step, written down without redline's engine."""

    def __init__(self, model: str, settings: LearnerSettings, batches: list[MicroBatch]) -> None:
        self._policy = _adapted(load_policy(model, settings.dtype), settings).train().to(DEVICE)
        if batches[0].tokens.layout is not None:
            use_packed_attention(self._policy)
        self.shape = model_shape(self._policy)
        self._trained = [p for p in self._policy.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(self._trained, lr=1e-5, fused=True)
        self._autocast = settings.autocast
        self._batches = batches

    def step(self) -> None:
        """Forward and backward over all micro-batches, then one clipped step."""
        for batch in self._batches:
            tokens = batch.tokens
            packed = {} if tokens.layout is None else {
                "position_ids": tokens.position_ids, "packed_layout": tokens.layout
            }  # fmt: skip
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=self._autocast):
                hidden = self._policy.model(
                    tokens.input_ids, use_cache=False, **packed
                ).last_hidden_state
                logits = self._policy.lm_head(hidden.flatten(0, 1)[tokens.sources])
            targets = tokens.input_ids.flatten()[tokens.targets]
            logprobs = -torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
            ratio = torch.exp(logprobs - logprobs.detach())
            losses, _ = clipped_surrogate(ratio, batch.advantages, 0.2, 0.28)
            (losses * batch.weights).sum().backward()
        torch.nn.utils.clip_grad_norm_(self._trained, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()


def _adapted(policy: PreTrainedModel, settings: LearnerSettings) -> PreTrainedModel:
    """The policy, with an adapter where the settings ask for one."""
    if settings.lora.rank > 0:
        add_adapter(policy, settings.lora)
    return policy


def _sft_engine(model: str, settings: LearnerSettings) -> TrainingEngine:
    return TrainingEngine(
        _adapted(load_policy(model, settings.dtype), settings),
        optimizer=settings.optimizer,
        deepspeed=DeepSpeedSettings(),
        autocast=settings.autocast,
    )


def _sft_step(
    engine: TrainingEngine, settings: LearnerSettings, samples: Sequence[TrainingSample]
) -> Callable[[], None]:
    sequences = [
        SftSequence(
            token_ids=s.token_ids, weights=s.loss_mask.astype(np.float32), is_action=s.loss_mask
        )
        for s in samples
    ]

    def step() -> None:
        sft._accumulate(engine, sequences, settings.micro_batch_tokens)
        engine.step(0)

    return step

"""The DeepSpeed engine around a policy: forward, backward over micro-batches, one guarded step.

The caller owns the accumulation boundary: any number of `backward` calls, then one `step`. Losses
must already be divided by what the whole step is normalised by.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from redline.learner.batches.attention import use_packed_attention
from redline.learner.batches.packing import TokenBatch, pad_batch
from redline.learner.grammar_mask import GrammarMask
from redline.learner.memory import EVERY, return_freed_memory
from redline.learner.optimizer import GuardedAdamW, learning_rate
from redline.learner.precision import bfloat16_is_fast
from redline.learner.process_group import join_process_group
from redline.learner.scorer import Scorer, TokenScores
from redline.learner.settings import DeepSpeedSettings, OptimizerSettings
from redline.learner.utilisation import model_shape
from redline.replay.records import Float32, Int32


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStep:
    """Outcome of one optimizer step."""

    grad_norm: float
    """Global norm before clipping."""
    learning_rate: float
    applied: bool
    """False when the gradient was not finite and the weights were left alone."""


class TrainingEngine:
    """A policy under DeepSpeed with AdamW; one process."""

    def __init__(
        self,
        policy: PreTrainedModel,
        *,
        optimizer: OptimizerSettings,
        deepspeed: DeepSpeedSettings,
        autocast: bool = False,
        temperature: float = 1.0,
        top_p: float = 1.0,
        entropy_gradient: bool = False,
        threads: int = 0,
        grammar: GrammarMask | None = None,
    ) -> None:
        """With `grammar`, wanted tokens are actions drawn under it.

        Raises ValueError for a ZeRO stage outside 0 to 3."""
        if deepspeed.zero_stage not in range(4):
            raise ValueError(f"zero_stage is {deepspeed.zero_stage}, expected 0, 1, 2 or 3")
        if threads > 0:
            torch.set_num_threads(threads)
        self.policy = policy
        self.zero_stage = deepspeed.zero_stage
        self._settings = optimizer
        self._grammar = grammar
        self._guarded = deepspeed.zero_stage == 0
        if deepspeed.activation_checkpointing:
            policy.gradient_checkpointing_enable()
        policy.train()
        self.can_pack = use_packed_attention(policy)
        self.shape = model_shape(policy)
        self._scorer = Scorer(
            policy,
            autocast=autocast and bfloat16_is_fast(),
            temperature=temperature,
            top_p=top_p,
            entropy_gradient=entropy_gradient,
        )
        self._optimizer = GuardedAdamW(
            [p for p in policy.parameters() if p.requires_grad], optimizer, guard=self._guarded
        )
        self._engine = _initialize(self._scorer, self._optimizer, optimizer, deepspeed)
        self.device = torch.device(self._engine.device)
        self._backwards = 0

    def score(
        self, batch: TokenBatch, *, with_entropy: bool = False, whole: bool = False
    ) -> TokenScores:
        """Scores of the wanted tokens, with gradient unless under `torch.no_grad`.

        `whole` leaves out the sampler's top-p.
        """
        allowed = None if self._grammar is None else self._grammar.of_batch(batch)
        return self._engine(batch.to(self.device), with_entropy, whole, allowed)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradient of a scalar loss."""
        self._engine.backward(loss)
        self._backwards += 1
        if self.device.type == "cpu" and self._backwards % EVERY == 0:
            return_freed_memory()

    def step(self, index: int, progress: float = 0.0) -> EngineStep:
        """Apply what was accumulated since the last step as the 0-based step `index`."""
        rate = learning_rate(self._settings, index, progress)
        for group in self._engine.optimizer.param_groups:
            group["lr"] = rate
        self._engine.step()
        if self._guarded:
            norm, applied = self._optimizer.grad_norm, self._optimizer.applied
        else:
            norm = float(self._engine.get_global_grad_norm() or 0.0)
            applied = not getattr(self._engine.optimizer, "overflow", False)
        return EngineStep(grad_norm=norm, learning_rate=rate, applied=applied)

    @torch.no_grad()
    def plain_logprobs(self, token_ids: Int32) -> Float32:
        """Log-probabilities of tokens 1..n-1 given those before, (n - 1,), of the bare policy.

        Without temperature, autocast and dropout: in the type of the weights. All ranks call it.
        """
        batch = pad_batch([token_ids], [np.arange(len(token_ids)) > 0])
        self.policy.eval()
        try:
            with self._scorer.plain():
                scores: TokenScores = self._engine(batch.to(self.device), False, True, None)
        finally:
            self.policy.train()
        return scores.logprobs.cpu().numpy()

    @contextmanager
    def gathered(self, some: Sequence[torch.nn.Parameter] = ()) -> Iterator[PreTrainedModel]:
        """The policy with whole weights, whatever the ZeRO stage; for reading only.

        With `some`, only these are whole. All ranks enter it together.
        """
        if self.zero_stage < 3:
            yield self.policy
            return
        import deepspeed

        with deepspeed.zero.GatheredParameters(list(some) or list(self.policy.parameters())):
            yield self.policy

    def save(self, folder: str, tag: str) -> None:
        """Write weights and optimizer state under `folder/tag`."""
        self._engine.save_checkpoint(folder, tag=tag, save_latest=False)

    def load(self, folder: str, tag: str) -> None:
        """Read what `save` wrote; raises FileNotFoundError when there is nothing."""
        path, _ = self._engine.load_checkpoint(folder, tag=tag)
        if path is None:
            raise FileNotFoundError(f"no learner state at {folder}/{tag}")

    def close(self) -> None:
        """Free the engine's hooks and buffers."""
        self._engine.destroy()


def _initialize(
    scorer: Scorer,
    optimizer: torch.optim.Optimizer,
    settings: OptimizerSettings,
    deepspeed_settings: DeepSpeedSettings,
) -> Any:
    """A DeepSpeed engine around the scorer."""
    _quiet_deepspeed()
    import deepspeed

    join_process_group()
    dtype = next(scorer.parameters()).dtype
    zero: dict[str, Any] = {"stage": deepspeed_settings.zero_stage}
    if deepspeed_settings.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu"}
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "managed_gradient_accumulation": False,
        "gradient_clipping": settings.max_grad_norm if deepspeed_settings.zero_stage else 0.0,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": None,
    }
    if dtype == torch.bfloat16:
        config["bf16"] = {"enabled": True}
    engine, *_ = deepspeed.initialize(model=scorer, optimizer=optimizer, config=config)
    return engine


def _quiet_deepspeed() -> None:
    """Keep DeepSpeed's progress notes, which it prints on stdout, out of the way."""
    os.environ.setdefault("DS_LOG_LEVEL", "warning")
    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)

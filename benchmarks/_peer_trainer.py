"""TRL's GRPO trainer with its vLLM, tuned for a small CPU (imports trl).

Import it with vLLM's environment set and trl on the path. What differs from TRL as it comes:

- vLLM gets redline's block size, cache, type and executor settings for CPUs through its
  constructor, to which TRL passes none of them;
- weights reach vLLM by the way that redline takes: `load_weights`, which TRL calls, does not work
  on packed CPU weights.
"""

import functools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import trl.generation.vllm_generation
from _peer_episodes import PeerEpisodes, Totals
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from redline.actors.weight_loader import _repack_embeddings
from redline.cluster.config import RunConfig
from redline.learner.precision import bfloat16_is_fast

_BLOCK_SIZE = 32


@dataclass(slots=True)
class Clock:
    """Seconds by what they were spent on."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Count the time inside the block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - began
            self.seconds[name] = self.seconds.get(name, 0.0) + spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where a run was when a step ended."""

    at: float
    totals: Totals
    seconds: dict[str, float]


class Marks(TrainerCallback):
    """Notes where the run is after each step."""

    def __init__(self, totals: Totals, clock: Clock) -> None:
        self._totals = totals
        self._clock = clock
        self.all: list[Mark] = []

    def on_step_end(self, *_: object, **__: object) -> None:
        """Called by the trainer after the optimizer's step."""
        self.all.append(
            Mark(
                at=time.perf_counter(),
                totals=replace(self._totals),
                seconds=dict(self._clock.seconds),
            )
        )


def train(
    policy: str, config: RunConfig, episodes: PeerEpisodes, *, steps: int, micro_batch: int
) -> list[Mark]:
    """Train for some steps; one mark for each. Raises RuntimeError when the loss is not finite."""
    clock = Clock()
    marks = Marks(episodes.totals, clock)
    _configure_vllm(config)
    trainer = GRPOTrainer(
        model=policy,
        reward_funcs=_reward,
        args=_settings(config, steps, micro_batch),
        train_dataset=Dataset.from_dict({"prompt": list(episodes.tasks)}),
        rollout_func=functools.partial(_rollout, episodes, clock),
        callbacks=[marks],
    )
    generation = trainer.vllm_generation
    generation.sync_weights = _timed(clock, "weight_sync", lambda: _sync_weights(generation))
    torch.set_num_threads(config.learner.threads)
    loss = trainer.train().training_loss
    if not math.isfinite(loss) or len(marks.all) != steps:
        raise RuntimeError(
            f"the peer's loss is {loss} after {len(marks.all)} steps: expected a finite one "
            f"after {steps}"
        )
    return marks.all


def _settings(config: RunConfig, steps: int, micro_batch: int) -> GRPOConfig:
    """The same training as redline's; no log, no checkpoint, no pass but the necessary one."""
    batch = config.learner.groups_per_step * config.rollout.group_size
    autocast = config.learner.autocast and bfloat16_is_fast()
    return GRPOConfig(
        output_dir="peer",
        max_steps=steps,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=batch // micro_batch,
        num_generations=config.rollout.group_size,
        max_completion_length=config.rollout.engine.max_model_len,
        learning_rate=config.learner.optimizer.learning_rate,
        lr_scheduler_type="constant",
        temperature=config.rollout.sampling.temperature,
        beta=0.0,
        loss_type="dr_grpo",
        scale_rewards="none",
        use_cpu=True,
        bf16=autocast,
        gradient_checkpointing=False,
        model_init_kwargs={"dtype": "float32", "attn_implementation": "sdpa"},
        pad_to_multiple_of=None,
        use_vllm=True,
        vllm_mode="colocate",
        vllm_max_model_length=config.rollout.engine.max_model_len,
        # The correction would cost one more forward pass over the whole batch.
        vllm_importance_sampling_correction=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=config.seed,
    )


def _configure_vllm(config: RunConfig) -> None:
    """Give vLLM's constructor what TRL does not pass on."""
    engine = config.rollout.engine
    trl.generation.vllm_generation.LLM = functools.partial(
        trl.generation.vllm_generation.LLM,
        dtype=engine.dtype,
        block_size=_BLOCK_SIZE,
        kv_cache_memory_bytes=int(engine.kv_cache_gib * 2**30),
        enable_prefix_caching=True,
        skip_tokenizer_init=True,
        disable_log_stats=True,
        use_tqdm_on_load=False,
    )


def _rollout(
    episodes: PeerEpisodes, clock: Clock, prompts: list[str], trainer: GRPOTrainer
) -> dict[str, list[Any]]:
    generate = functools.partial(trainer.vllm_generation.llm.generate, use_tqdm=False)
    with clock.running("episodes"):
        return episodes.run(prompts, _timed(clock, "generation", generate))


def _reward(reward: list[float], **_: object) -> list[float]:
    """What the episodes earned."""
    return reward


def _sync_weights(generation: Any) -> None:
    """The trainer's weights into vLLM's model, in this process."""
    worker = generation.llm.llm_engine.model_executor.driver_worker.worker
    with torch.inference_mode():
        worker.reload_weights(weights_iterator=generation._iter_named_params())
        _repack_embeddings(worker.model_runner.get_model())
    generation.llm.reset_prefix_cache()


def _timed(clock: Clock, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*args: Any, **options: Any) -> Any:
        with clock.running(name):
            return function(*args, **options)

    return timed

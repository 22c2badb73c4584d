"""Tokens/s of the learner's policy step and of SFT, against a bare PyTorch loop.

The bare loop trains the same model on padded micro-batches in the same precision with the same
losses, clipping and optimizer, prepared beforehand: what it does not do is make samples, measure
entropy and mismatch, run DeepSpeed and use redline's attention. `padded` is the policy step on the
very same micro-batches; `shared_prefix` computes what a group begins with once. Tokens are those of
the trajectories, so that both are counted alike. Autocast is left out where the CPU has no units
for bfloat16.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

import redline.learner  # noqa: F401  sets OpenMP's waiting policy before torch is loaded

# isort: split
import numpy as np
import torch
from _report import arguments, print_report, ratio

from redline.learner.engine import TrainingEngine
from redline.learner.learner import Learner
from redline.learner.losses.clipped import clipped_surrogate
from redline.learner.model import load_policy, make_tiny
from redline.learner.policy_step import MicroBatch, make_micro_batches
from redline.learner.precision import bfloat16_is_fast
from redline.learner.samples import make_samples
from redline.learner.settings import (
    DeepSpeedSettings,
    LearnerSettings,
    OptimizerSettings,
    TinyModelSettings,
)
from redline.learner.sft import SftSequence
from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn

BAR = 0.85
SHAPE = TinyModelSettings(vocab_size=512, hidden_size=160, intermediate_size=480, layers=5, heads=5)
SETTINGS = LearnerSettings(micro_batch_tokens=8192, optimizer=OptimizerSettings(learning_rate=1e-5))
PRECISIONS = {
    "float32": {"dtype": "float32", "autocast": False},
    "autocast": {"dtype": "float32", "autocast": True},
    "bfloat16": {"dtype": "bfloat16", "autocast": False},
}


def make_groups(count: int) -> list[TrajectoryGroup]:
    """Groups of 8 trajectories of 1 to 5 turns, about 250 tokens each, 11 of them per action."""
    rng = np.random.default_rng(0)
    return [_make_group(str(number), rng) for number in range(count)]


def _make_group(name: str, rng: np.random.Generator) -> TrajectoryGroup:
    first = _random_ids(95, rng)
    return TrajectoryGroup(
        group_id=name,
        task_id=name,
        trajectories=tuple(_make_trajectory(name, i, first, rng) for i in range(8)),
    )


def _make_trajectory(
    group: str, index: int, first: np.ndarray, rng: np.random.Generator
) -> Trajectory:
    states = [first, *(_random_ids(65, rng) for _ in range(int(rng.integers(0, 5))))]
    turns = tuple(_make_turn(state, rng) for state in states)
    return Trajectory(
        trajectory_id=f"{group}/{index}",
        group_id=group,
        sample_index=index,
        task_id=group,
        initial_program="",
        turns=turns,
        status=TrajectoryStatus.EXITED,
        solved=False,
        worker="",
        seconds=0.0,
    )


def _random_ids(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(3, 250, count).astype(np.int32)


def _make_turn(state: np.ndarray, rng: np.random.Generator) -> Turn:
    actions = int(rng.integers(6, 16))
    return Turn(
        state_token_ids=state,
        action_token_ids=_random_ids(actions, rng),
        rollout_logprobs=np.full(actions, -6.0, np.float32),
        weight_versions=np.zeros(actions, np.int32),
        action_text="",
        command=None,
        error=None,
        program="",
        feedback="",
        verdict=None,
        reward=float(rng.random()),
    )


class BareLoop:
    """The same step, written down without redline's engine."""

    def __init__(self, model: str, settings: LearnerSettings, batches: list[MicroBatch]) -> None:
        self._policy = load_policy(model, settings.dtype).train()
        self._optimizer = torch.optim.AdamW(self._policy.parameters(), lr=1e-5, fused=True)
        self._autocast = settings.autocast
        self._batches = batches

    def step(self) -> None:
        """Forward and backward over all micro-batches, then one clipped step."""
        for batch in self._batches:
            tokens = batch.tokens
            with torch.autocast("cpu", torch.bfloat16, enabled=self._autocast):
                hidden = self._policy.model(tokens.input_ids, use_cache=False).last_hidden_state
                logits = self._policy.lm_head(hidden.flatten(0, 1)[tokens.sources])
            targets = tokens.input_ids.flatten()[tokens.targets]
            logprobs = -torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
            ratio = torch.exp(logprobs - logprobs.detach())
            losses, _ = clipped_surrogate(ratio, batch.advantages, 0.2, 0.28)
            (losses * batch.weights).sum().backward()
        torch.nn.utils.clip_grad_norm_(self._policy.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()


def sft_step(model: str, settings: LearnerSettings, groups: list[TrajectoryGroup]) -> Callable:
    """One SFT optimizer step over the same sequences."""
    from redline.learner import sft

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


def compare(
    model: str, settings: LearnerSettings, groups: list[TrajectoryGroup], rounds: int
) -> dict[str, tuple[float, float]]:
    """Median seconds and CPU seconds of a step of each contender, measured in turns."""
    torch.set_num_threads(settings.threads)
    learners = {}
    for packing in ("padded", "shared_prefix"):
        learners[packing] = Learner(model_path=model, settings=replace(settings, packing=packing))
        learners[packing].start()
    samples = make_samples(groups, settings.loss, settings.micro_batch_tokens).samples
    batches = make_micro_batches(samples, settings, "padded", torch.device("cpu"))
    contenders = {
        "bare": BareLoop(model, settings, batches).step,
        "padded": lambda: learners["padded"].train_step(groups),
        "shared_prefix": lambda: learners["shared_prefix"].train_step(groups),
        "sft": sft_step(model, settings, groups),
    }
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, step in contenders.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            step()
            wall[name].append(time.perf_counter() - began)
            cpu[name].append(time.process_time() - began_cpu)
    return {
        name: (statistics.median(wall[name][1:]), statistics.median(cpu[name][1:]))
        for name in contenders
    }


def main() -> int:
    """Run and report."""
    options = arguments(__doc__ or "")
    groups = make_groups(4 if options.quick else 16)
    tokens = sum(t.num_tokens for group in groups for t in group.trajectories)
    figures: dict[str, float] = {"tokens_per_step": tokens}
    ratios = {}
    with tempfile.TemporaryDirectory(prefix="redline-learner-") as folder:
        model = str(make_tiny(folder, SHAPE, ["x = 1\n"] * 2))
        for threads in (2,) if options.quick else (1, 2):
            for name, precision in PRECISIONS.items():
                if name != "float32" and not bfloat16_is_fast():
                    continue
                settings = replace(SETTINGS, threads=threads, **precision)
                times = compare(model, settings, groups, 3 if options.quick else 7)
                for contender, (seconds, cpu_seconds) in times.items():
                    key = f"{contender}_{name}_{threads}_threads_tokens_per"
                    figures[f"{key}_s"] = tokens / seconds
                    figures[f"{key}_cpu_s"] = tokens / cpu_seconds
                if threads == 2:
                    for contender in ("padded", "shared_prefix"):
                        ratios[f"{contender}_{name}"] = ratio(
                            times["bare"][0] / times[contender][0],
                            BAR,
                            "bare PyTorch loop on padded micro-batches, tokens/s",
                        )
    packages = ("torch", "transformers", "deepspeed")
    return print_report("learner", figures, ratios, packages, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())

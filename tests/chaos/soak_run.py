"""A run of the tiny random policy that finds hung workers within seconds, and can be audited."""

import shutil
import time
from pathlib import Path

from redline_driving import SMALL, Driver, make_model

QUICK = (
    "plugins=[training_record]", "max_seconds=0", "eval.tasks=0", "replay.keep_committed=100000",
    "rollout.engine.enforce_eager=true", "rollout.num_cpus=0.1", "learner.num_cpus=0.1",
    "sandbox.num_cpus=0.1", "sandbox.workers_per_actor=2", "sandbox.wall_seconds=5",
    "sandbox.health_check_seconds=5", "fleet.heartbeat_every=0.5", "fleet.backoff=0.1",
    "fleet.longest_backoff=1", "fleet.restarts=1000", "fleet.group_attempts=50",
    "deadlines.heartbeat=30", "deadlines.store=20", "deadlines.step=60", "deadlines.push=90",
    "deadlines.checkpoint=60",
)  # fmt: skip


def prepare(folder):
    """The policy and the witness, where the run will find them."""
    make_model(folder / "model")
    shutil.copy(Path(__file__).with_name("training_record.py"), folder)


def train(folder, name, *more, environment=None):
    """Start the run, or go on with it."""
    return Driver(
        "train", "--config", "demo", f"name={name}", f"run_root={folder}/runs",
        f"model={folder}/model", *SMALL, *QUICK, *more, cwd=folder, environment=environment,
    )  # fmt: skip


def steps_done(folder, name):
    """Steps that the run has told of."""
    try:
        return len((folder / "runs" / name / "metrics/steps.jsonl").read_text().splitlines())
    except FileNotFoundError:
        return 0


def go_on(run, folder, name, steps=2, seconds=600):
    """Wait until so many further steps are told; who dies or stands still fails the test."""
    wanted = steps_done(folder, name) + steps
    deadline = time.monotonic() + seconds
    while steps_done(folder, name) < wanted:
        assert run.process.poll() is None, f"the run ended:\n{run.complaint()}"
        assert time.monotonic() < deadline, f"no step for {seconds} s:\n{run.complaint()}"
        time.sleep(0.1)

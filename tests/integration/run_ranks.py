"""One rank of several: takes the steps of every scenario and writes what came of them.

    python run_ranks.py RANK RANKS MODEL FOLDER

A group of one is what the others are held against.
"""

import json
import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from groups import make_group

from redline.learner.learner import Learner
from redline.learner.meeting import Meeting
from redline.learner.settings import (
    CriticSettings,
    DeepSpeedSettings,
    LearnerSettings,
    LoraSettings,
    LossSettings,
    OptimizerSettings,
)

FEW = make_group(3, good=50, length=30)
STEPS = [
    [make_group(0, good=50, length=12), make_group(1, good=60), make_group(2, good=70, length=3)],
    [replace(FEW, trajectories=FEW.trajectories[:2])],  # one is too long: a rank has nothing
    [make_group(4, good=80)],  # cut between the ranks
]
SCENARIOS = {
    **{f"zero_{stage}": {"deepspeed": DeepSpeedSettings(zero_stage=stage)} for stage in range(4)},
    "reference_and_epochs": {
        "loss": LossSettings(kl_coef=0.1, aggregation="sequence_mean", entropy_coef=0.01),
        "epochs_per_batch": 2,
        "deepspeed": DeepSpeedSettings(zero_stage=3),
    },
    "critic": {
        "loss": LossSettings(estimator="gae", kl_coef=0.1, kl_in="reward", kl_estimator="k1"),
        "critic": CriticSettings(kind="head"),
        "deepspeed": DeepSpeedSettings(zero_stage=2),
    },
    "adapter": {
        "loss": LossSettings(kl_coef=0.1),
        "lora": LoraSettings(rank=4),
        "deepspeed": DeepSpeedSettings(zero_stage=3),
    },
}
SAVED = ("zero_0", "zero_2", "zero_3")


class Rank:
    """This process in its group."""

    def __init__(self, rank, ranks, model, folder):
        self.rank, self.ranks, self.model, self.folder = rank, ranks, model, Path(folder)
        self.meeting = None

    def learner(self, changes):
        """A started learner."""
        settings = LearnerSettings(
            ranks=self.ranks,
            threads=1,
            micro_batch_tokens=64,
            max_skipped_steps=3,
            optimizer=OptimizerSettings(learning_rate=1e-3),
        )
        learner = Learner(
            model_path=self.model,
            settings=replace(settings, **changes),
            rank=self.rank,
            seconds=120,
        )
        if self.ranks > 1 and self.meeting is None:
            self.meeting = self._meet(learner)
        learner.start(self.meeting)
        return learner

    def _meet(self, learner):
        told = self.folder / "meeting"
        if self.rank == 0:
            meeting = learner.open_meeting("127.0.0.1")
            told.with_suffix(".new").write_text(json.dumps(asdict(meeting)))
            told.with_suffix(".new").rename(told)
            return meeting
        deadline = time.monotonic() + 120
        while not told.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return Meeting(**json.loads(told.read_text()))

    def play(self, name):
        """Take the steps, and those after a resume where the scenario is one that saves."""
        learner = self.learner(SCENARIOS[name])
        results = [learner.train_step(groups) for groups in STEPS]
        if name in SAVED:
            results.append(self._spoiled(learner))
            learner.save_checkpoint(self.folder / name)
        learner.train_step(STEPS[0])
        self._write(name, learner, results)
        learner.close()
        if name in SAVED:
            learner.start(self.meeting)
            learner.load_checkpoint(self.folder / name)
            learner.train_step(STEPS[0])
            self._write(f"{name}_resumed", learner, [])
            learner.close()

    def _spoiled(self, learner):
        """A step in which the last rank alone meets a loss that is not finite."""
        from redline.learner import policy_step

        real = policy_step.policy_loss

        def broken(**values):
            loss = real(**values)
            return replace(loss, total=loss.total + float("inf"))

        if self.rank == self.ranks - 1:
            policy_step.policy_loss = broken
        result = learner.train_step(STEPS[0])
        policy_step.policy_loss = real
        return result

    def _write(self, name, learner, results):
        *buckets, update = list(learner.publish()) or [None]
        assert (update is None) == (self.rank > 0)
        out = self.folder / f"{name}_{self.rank}"
        out.with_suffix(".json").write_text(
            json.dumps([{**asdict(r), "seconds_train": 0, "seconds_update": 0} for r in results])
        )
        if update is not None:
            np.savez(
                out.with_suffix(".npz"),
                weights=np.concatenate(buckets).view(np.float32),
                probe=update.probe.logprobs,
            )


if __name__ == "__main__":
    me = Rank(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
    for scenario in SCENARIOS:
        began = time.monotonic()
        me.play(scenario)
        print(f"{scenario}: {time.monotonic() - began:.1f} s")
    sys.stdout.flush()
    os._exit(0)  # without the seconds that the engines' libraries take to end

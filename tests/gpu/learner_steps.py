"""Steps of the learner from one policy; run as a script, they are taken without a GPU."""

import os
import sys
from pathlib import Path

import numpy as np

from redline.learner.learner import Learner
from redline.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings

sys.path.insert(0, str(Path(__file__).parents[1]))
from integration.groups import make_group


def started(policy, *, lora=0, dropout=0.0, dtype="float32"):
    """A learner on the GPU if there is one in sight."""
    learner = Learner(
        model_path=policy,
        settings=LearnerSettings(
            threads=1,
            dtype=dtype,
            micro_batch_tokens=64,
            lora=LoraSettings(rank=lora, dropout=dropout),
            optimizer=OptimizerSettings(learning_rate=1e-3),
        ),
    )
    learner.start()
    return learner


def take_steps(learner, numbers):
    """Train on the groups of these numbers in turn; returns the last step's result."""
    result = None
    for number in numbers:
        result = learner.train_step([make_group(number, good=40 + number)])
    return result


def weights(learner):
    """All weights of a learner in float32, (n,)."""
    *buckets, update = learner.publish()
    assert {spec.dtype for spec in update.manifest} == {"float32"}
    return np.concatenate(buckets).view(np.float32)


def main():
    """Write the weights before and after three steps."""
    policy, file = sys.argv[1:]
    learner = started(policy)
    before = weights(learner)
    take_steps(learner, range(3))
    np.savez(file, device=str(learner._engine.device), before=before, after=weights(learner))


if __name__ == "__main__":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    main()

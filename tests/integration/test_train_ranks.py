"""A whole run whose learner is two processes, and whose samplers are sent an adapter alone."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from redline_driving import SMALL, Driver, kill_drivers, make_model

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def _no_driver_left():
    yield
    kill_drivers()


def test_two_ranks_train_and_checkpoint(tmp_path):
    make_model(tmp_path / "model")
    driver = Driver(
        "train", "--config", "demo", "name=two", "model=./model", "steps=2", *SMALL, "--json",
        "ray.num_cpus=4", "learner.ranks=2", "learner.num_cpus=0.5", "learner.threads=1",
        "learner.deepspeed.zero_stage=2", "learner.lora.rank=4", "weights.bucket_mib=1",
        "eval.tasks=2", cwd=tmp_path,
    )  # fmt: skip
    assert driver.finish() == 0, driver.complaint()
    lines = (tmp_path / "runs/two/metrics/steps.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines]
    assert [step["step"] for step in steps] == [1, 2]
    assert all(0 < step["weights/max_abs_dlogp"] <= 1e-3 for step in steps)
    learner = tmp_path / "runs/two/checkpoints/step_2/learner"
    assert (learner / "random.pt").is_file()
    assert (learner / "random_1.pt").is_file()
    assert json.loads((learner / "progress.json").read_text())["ranks"] == 2

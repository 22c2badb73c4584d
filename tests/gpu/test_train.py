"""Whole runs of `redline train` with the preset for one GPU and a tiny random policy."""

import json

import pytest
import torch
from redline_driving import SMALL, Driver, alive, kill_drivers, make_model

from .cuda import needs_gpus

pytestmark = [
    pytest.mark.gpu,
    needs_gpus(1),
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(420),
]

STEPS = 3
GPU = ("rollout.engine.gpu_memory_utilization=0.2", "rollout.engine.enforce_eager=true")
ONE_GPU = ("learner.num_gpus=0.5", "rollout.num_gpus=0.5")
TWO_GPUS = ("learner.num_gpus=1", "rollout.num_gpus=1")
LEFT_BYTES = 2**29
"""Other programs may take as much of the GPU meanwhile."""


@pytest.fixture(autouse=True)
def _no_driver_left():
    yield
    kill_drivers()


def free_bytes():
    return torch.cuda.mem_get_info()[0]


def train(folder, transport, *gpus):
    """The records of the steps of a finished run, which left nothing behind."""
    make_model(folder / "model")
    free = free_bytes()
    driver = Driver(
        "train", "--config", "single_gpu", "name=small", "model=./model", f"steps={STEPS}",
        *SMALL, *GPU, *gpus, f"weights.transport={transport}", "--json", cwd=folder,
    )  # fmt: skip
    driver.wait_for_line(f"step 2/{STEPS}", seconds=300)
    pids = driver.descendants()
    assert driver.finish(seconds=120) == 0, driver.complaint()
    assert len(pids) > 5
    assert alive(pids) == []
    assert free_bytes() > free - LEFT_BYTES
    result = driver.result()
    assert (result["steps"], result["trajectories"]) == (STEPS, STEPS * 4 * 4)
    lines = (folder / "runs/small/metrics/steps.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def check_steps(steps):
    """Every step pushed weights that a probe proved, within the bound of staleness."""
    assert [step["step"] for step in steps] == list(range(1, STEPS + 1))
    assert all(0 <= step["weights/max_abs_dlogp"] <= 0.1 for step in steps)
    assert all(step["staleness/max"] <= 1 for step in steps)
    if "MIG" not in torch.cuda.get_device_name().upper():
        assert all(0 < step["perf/mfu"] < 1 for step in steps)


@pytest.mark.parametrize("transport", ["ipc", "object_store"])
def test_a_run_on_one_gpu(tmp_path, transport):
    check_steps(train(tmp_path, transport, *ONE_GPU))


@needs_gpus(2)
def test_a_run_on_two_gpus(tmp_path):
    check_steps(train(tmp_path, "nccl", *TWO_GPUS))

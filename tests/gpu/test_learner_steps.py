"""Whole steps of the learner on a GPU: as on the CPU, resumable, and with their utilisation."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_llama import byte_level_tokenizer, save_tiny_llama

from redline.learner.utilisation import peak_flops

from .cuda import needs_gpus
from .learner_steps import started, take_steps, weights

pytestmark = [pytest.mark.gpu, needs_gpus(1), pytest.mark.slow]


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    tokenizer = byte_level_tokenizer(("</s>",), eos_token="</s>", pad_token="</s>")
    return str(save_tiny_llama(tmp_path_factory.mktemp("policy"), tokenizer))


def difference(one, other, start):
    """Of two trained sets of weights, as a share of the way that training went."""
    return float(np.linalg.norm(one - other) / np.linalg.norm(one - start))


def test_steps_on_a_gpu_are_those_of_the_cpu(policy, tmp_path):
    script = Path(__file__).with_name("learner_steps.py")
    subprocess.run([sys.executable, script, policy, tmp_path / "cpu.npz"], check=True)
    expected = np.load(tmp_path / "cpu.npz")
    assert str(expected["device"]).startswith("cpu")
    learner = started(policy)
    assert learner._engine.device.type == "cuda"
    np.testing.assert_array_equal(weights(learner), expected["before"])
    take_steps(learner, range(3))
    assert difference(weights(learner), expected["after"], expected["before"]) < 0.05
    learner.close()


@pytest.mark.parametrize("adapter", [{}, {"lora": 8, "dropout": 0.5}], ids=["all", "adapter"])
def test_five_steps_saved_and_five_more_equal_ten(policy, tmp_path, adapter):
    """But for the order in which a GPU adds up: kernels add gradients of one token in any."""
    straight = started(policy, **adapter)
    start = weights(straight)
    assert take_steps(straight, range(10)).step == 10
    # One after the other: they draw dropout from the same generator, which a start resets.
    first = started(policy, **adapter)
    take_steps(first, range(5))
    first.save_checkpoint(tmp_path / "step_5")
    second = started(policy, **adapter)
    second.load_checkpoint(tmp_path / "step_5")
    np.testing.assert_array_equal(weights(second), weights(first))
    result = take_steps(second, range(5, 10))
    assert (result.step, result.weight_version) == (10, 10)
    assert difference(weights(straight), weights(second), start) < 0.02
    assert difference(weights(straight), weights(first), start) > 0.1
    for learner in (straight, first, second):
        learner.close()


@pytest.mark.parametrize("lora", [0, 8])
def test_a_step_tells_the_share_of_the_peak_that_it_took(policy, lora):
    name = torch.cuda.get_device_name()
    if "MIG" in name.upper():
        pytest.skip(f"{name} is a part of a GPU, whose peak nobody knows")
    assert peak_flops(name) is not None, f"learner/utilisation.py: PEAKS knows no {name!r}"
    learner = started(policy, lora=lora, dtype="bfloat16")
    result = take_steps(learner, range(3))
    assert not result.skipped
    assert 0 < result.mfu < 1
    learner.close()

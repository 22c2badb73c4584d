"""Weights from a learner into a real engine on the same GPU, by each transport that one GPU has."""

import asyncio

import numpy as np
import pytest
import torch

from redline.actors.engine import PolicyEngine
from redline.actors.settings import EngineSettings
from redline.learner.publishing.outlets import make_outlet
from redline.learner.publishing.publish import probe_tokens
from redline.replay.settings import WeightSettings

from .cuda import needs_gpus
from .learner_steps import started

pytestmark = [pytest.mark.gpu, needs_gpus(1), pytest.mark.slow, pytest.mark.timeout(420)]

TOLERANCE = 0.02
"""Engine and learner compute float32 with kernels of their own, some of them in TF32."""
ENGINE = EngineSettings(
    dtype="float32", max_model_len=512, gpu_memory_utilization=0.15, enforce_eager=True
)
TRANSPORTS = ("ipc", "object_store")


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    from redline_driving import make_model

    return str(make_model(tmp_path_factory.mktemp("policy") / "model"))


def move(learner):
    """Change every weight that is trained by far more than what a probe may be off."""
    torch.manual_seed(learner.weight_version)
    with torch.no_grad():
        for parameter in learner._engine.policy.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.05)


async def push(engine, learner, transport, version):
    """Change the weights and push them; how far off the engine was before, and is after."""
    inner = learner._engine
    tokens = probe_tokens(inner.policy.config.vocab_size)
    move(learner)
    learner.set_version(version)
    learner._outlet = make_outlet(WeightSettings(transport=transport), inner.device)
    before = np.abs(await engine.score(tokens) - inner.plain_logprobs(tokens)).max()
    *contents, update = learner.publish()
    assert update.transport == transport
    receipt = await engine.update_weights(update, contents, tolerance=TOLERANCE)
    assert (receipt.version, engine.version) == (version, version)
    after = np.abs(await engine.score(tokens) - inner.plain_logprobs(tokens)).max()
    return float(before), float(after)


async def push_all(policy, lora):
    """Two pushes by each transport; the engine is started once."""
    engine = await PolicyEngine.start(policy, ENGINE)
    found = {}
    try:
        learner = started(policy, lora=lora)
        assert learner._engine.device.type == "cuda"
        for version in range(1, 2 * len(TRANSPORTS) + 1):
            transport = TRANSPORTS[version % len(TRANSPORTS)]
            found[transport, version] = await push(engine, learner, transport, version)
        learner.close()
    finally:
        engine.shutdown()
    return found


@pytest.mark.parametrize("lora", [0, 8], ids=["all weights", "adapter"])
def test_what_is_pushed_is_what_the_engine_samples_with(policy, lora):
    found = asyncio.run(push_all(policy, lora))
    assert len(found) == 2 * len(TRANSPORTS)
    for before, after in found.values():
        assert after <= TOLERANCE
        assert before > 5 * TOLERANCE

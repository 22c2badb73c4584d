"""From the learner into the engine: all weights in buckets, or an adapter alone.

The learner's probe proves each: what the engine says of it is what the learner says.
"""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from redline.actors.engine import PolicyEngine
from redline.actors.errors import WeightMismatch
from redline.actors.settings import EngineSettings, SamplingSettings
from redline.learner.learner import Learner
from redline.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from redline.replay.settings import WeightSettings

from .policies import make_policy
from .test_lora import make_group

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ENGINE = EngineSettings(
    dtype="float32", max_model_len=512, max_num_seqs=8, kv_cache_gib=0.25, enforce_eager=True
)
LORA = LoraSettings(rank=4, alpha=8.0)


@pytest.fixture(scope="module", params=["tied", "untied"])
def policy(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return str(make_policy(folder, tied=request.param == "tied"))


@pytest.fixture(scope="module")
def served(policy):
    """An engine that serves the policy, and how to run things on its loop."""
    with asyncio.Runner() as runner:
        engine = runner.run(PolicyEngine.start(policy, ENGINE, name="e"))
        yield engine, runner.run
        engine.shutdown()


def started(policy, *, lora=0, bucket_mib=64):
    learner = Learner(
        model_path=policy,
        settings=LearnerSettings(
            threads=1,
            micro_batch_tokens=64,
            lora=replace(LORA, rank=lora),
            optimizer=OptimizerSettings(learning_rate=1e-2),
        ),
        weights=WeightSettings(bucket_mib=bucket_mib),
    )
    learner.start()
    return learner


async def sample(engine, name):
    context = np.arange(10, 60, dtype=np.int32)
    return await engine.generate(context, SamplingSettings(max_command_tokens=16), name)


def scores(learner, context, completion):
    """What the learner thinks of the sampled tokens."""
    whole = np.concatenate((context, completion.token_ids))
    return learner._engine.plain_logprobs(whole)[len(context) - 1 :]


@pytest.mark.parametrize("lora", [0, 4], ids=["whole", "adapter"])
def test_the_learners_weights_arrive_in_buckets(served, policy, lora):
    engine, run = served
    learner = started(policy, lora=lora, bucket_mib=0)  # a bucket for each tensor
    for number in range(3):
        learner.train_step([make_group(number)])
        *contents, update = learner.publish()
        assert len(contents) == len(update.manifest) == len(update.buckets)
        receipt = run(engine.update_weights(update, contents))
        assert receipt.version == number + 1
        assert receipt.max_abs_dlogp <= 1e-3
    done = run(sample(engine, f"after-{lora}"))
    expected = scores(learner, np.arange(10, 60, dtype=np.int32), done)
    np.testing.assert_allclose(done.logprobs, expected, atol=1e-3)
    assert set(done.weight_versions.tolist()) == {3}
    learner.close()


def test_an_adapter_is_all_that_travels_and_replaces_the_one_before(served, policy):
    engine, run = served
    whole = started(policy)
    *contents, update = whole.publish()
    size = sum(c.nbytes for c in contents)
    run(engine.update_weights(update, contents))
    start = update.probe.logprobs
    whole.close()
    learner = started(policy, lora=4)
    *contents, update = learner.publish()
    assert sum(c.nbytes for c in contents) < size / 2
    assert all(".lora_" in spec.name for spec in update.manifest)
    run(engine.update_weights(update, contents))
    np.testing.assert_allclose(run(engine.score(update.probe.token_ids)), start, atol=1e-3)
    for number in range(2):
        learner.train_step([make_group(number)])
    *contents, update = learner.publish()
    assert np.abs(update.probe.logprobs - start).max() > 0.01, "the adapter has learned"
    receipt = run(engine.update_weights(update, contents))
    assert receipt.max_abs_dlogp <= 1e-3
    learner.close()


def test_an_adapter_that_is_not_the_learners_is_found_by_the_probe(served, policy):
    """Last test of an engine: it breaks it."""
    engine, run = served
    learner = started(policy, lora=4)
    for number in range(2):
        learner.train_step([make_group(number)])
    *contents, update = learner.publish()
    wrong = tuple(replace(change, scale=-change.scale) for change in update.adapter)
    with pytest.raises(WeightMismatch, match="did not arrive") as caught:
        run(engine.update_weights(replace(update, adapter=wrong), contents))
    assert caught.value.poisoned
    learner.close()

"""Buckets through Ray's object store: from a generator of the learner to every sampler."""

import asyncio
import time

import numpy as np
import pytest

from redline.replay.records import BucketSpec, Probe, WeightUpdate

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

SIZES = (3_000_000, 500, 200_000)


def make_update(version):
    return WeightUpdate(
        version=version,
        transport="object_store",
        manifest=(),
        buckets=tuple(BucketSpec(nbytes=size, checksum="") for size in SIZES),
        adapter=(),
        probe=Probe(token_ids=np.zeros(2, np.int32), logprobs=np.zeros(1, np.float32)),
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    from redline.cluster.launch import Cluster
    from redline.cluster.load import load_config

    config = load_config("demo", ["ray.num_cpus=2"])
    made = Cluster(config, tmp_path_factory.mktemp("logs"), needs=[])
    yield made
    made.stop()


def actors(cluster):
    """A learner that fails at version 2, and samplers; made here: workers know no test module."""
    update, sizes = make_update(0), SIZES

    class FakeLearner:
        def __init__(self):
            self.version = 0

        def publish(self):
            from dataclasses import replace

            self.version += 1
            for number, size in enumerate(sizes):
                yield np.full(size, self.version + number, np.uint8)
                if self.version == 2:
                    raise ValueError("a weight is missing")
            yield replace(update, version=self.version)

    class FakeSampler:
        async def update_weights(self, update, *contents):
            first = [int(content[0]) for content in contents]
            writable = [bool(content.flags.writeable) for content in contents]
            return update.version, [content.nbytes for content in contents], first, writable

    options = {"num_cpus": 0, "arguments": {}}
    return (
        cluster.actor(FakeLearner, name="learner", **options),
        {f"s{n}": cluster.actor(FakeSampler, name=f"s{n}", **options) for n in range(2)},
    )


def test_every_sampler_pulls_what_the_learner_yields_and_errors_name_it(cluster):
    from redline.cluster.config import DeadlineSettings
    from redline.cluster.errors import WorkFailed
    from redline.cluster.learner_handle import RayLearner

    learner_actor, samplers = actors(cluster)

    async def main():
        learner = RayLearner({"learner": learner_actor}, DeadlineSettings())
        weights = await learner.weight_update()
        assert weights.version == 1
        assert len(weights.contents) == len(SIZES)
        got = [await weights.pull(name, sampler) for name, sampler in samplers.items()]
        with pytest.raises(WorkFailed, match="learner failed: ValueError: a weight is missing"):
            await learner.weight_update()
        later = await weights.pull("s0", samplers["s0"])  # still there
        return [*got, later], (await learner.weight_update()).version

    got, version = asyncio.run(main())
    assert version == 3
    for found in got:
        assert found[:3] == (1, list(SIZES), [1, 2, 3])
    assert got[0][3][0] is False, "a view of the store, not a copy"


def test_a_busy_actor_with_its_own_heart_answers_and_keeps_its_calls_in_order(cluster):
    class Busy:
        def __init__(self):
            self.free = False

        def wait(self, seconds):
            time.sleep(seconds)
            return self.free

        def let(self):
            self.free = True

    actor = cluster.actor(Busy, name="busy", num_cpus=0, own_heart=True, arguments={})

    async def main():
        await actor.heartbeat.remote()
        long = asyncio.ensure_future(as_coroutine(actor.wait.remote(2.0)))
        actor.let.remote()
        for _ in range(3):
            await actor.heartbeat.remote()
        assert not long.done(), "heartbeats waited for the call before them"
        assert await long is False, "a call overtook another one"

    asyncio.run(main())


async def as_coroutine(awaitable):
    return await awaitable

"""What the failures of an actor mean, for the worker, for its group and for the run."""

import asyncio
import re
from types import SimpleNamespace

import pytest
from cluster_fakes import FakeLearner
from ray.exceptions import ActorDiedError, ObjectLostError, RayTaskError

from redline.actors.errors import EngineError, WeightMismatch
from redline.actors.records import SamplerHealth
from redline.cluster.errors import WorkFailed
from redline.cluster.handles import RayStore
from redline.cluster.workers.ports import ResultLost, WeightsUnproven, WorkerLost
from redline.cluster.workers.ray_workers import RaySampler


def raised(cause):
    return RayTaskError("f", "traceback", cause)


def handle(**methods):
    """An actor's handle: each method gives what it is set to, or raises it."""

    def method(outcome):
        async def call(*_, **__):
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        return SimpleNamespace(remote=call)

    return SimpleNamespace(**{name: method(outcome) for name, outcome in methods.items()})


def health(problem=""):
    return SamplerHealth(worker="s", version=1, ok=not problem, problem=problem)


def rolled_out(error, state):
    sampler = handle(sample_group=None, health=state)
    replay = handle(append=error)

    async def main():
        sampler.sample_group.remote = lambda *_, **__: None
        await RaySampler("s", sampler, replay).roll_out(None, "g7", None)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("error", "state", "kind", "text"),
    [
        (raised(EngineError("its process died")), health(), WorkerLost, "its process died"),
        (ActorDiedError(), ActorDiedError(), WorkerLost, "died unexpectedly"),
        (raised(ActorDiedError()), ActorDiedError(), WorkerLost, "ActorDiedError"),
        (raised(KeyError("x")), health("it was poisoned"), WorkerLost, "it was poisoned"),
        (ActorDiedError(), health(), WorkFailed, "replay store was lost with group g7"),
        (raised(ActorDiedError()), health(), WorkFailed, "replay store was lost with group g7"),
        (raised(KeyError("x")), health(), WorkFailed, "group g7 on s: KeyError"),
        (ObjectLostError("0" * 56, None, "here"), health(), ResultLost, None),
    ],
)
def test_who_is_to_blame_for_a_failed_group(error, state, kind, text):
    with pytest.raises(kind, match=text):
        rolled_out(error, state)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (raised(WeightMismatch("differs", poisoned=True)), WeightsUnproven),
        (raised(WeightMismatch("other names", poisoned=False)), WeightsUnproven),
        (raised(EngineError("dead")), WorkerLost),
        (ActorDiedError(), WorkerLost),
    ],
)
def test_weights_that_are_not_proven_are_told_from_a_lost_worker(error, kind):
    sampler = RaySampler("s", handle(update_weights=error), None)
    published = asyncio.run(FakeLearner(max_staleness=0).weight_update())
    with pytest.raises(WorkerLost) as caught:
        asyncio.run(sampler.update_weights(published))
    assert type(caught.value) is kind


def test_a_heartbeat_of_a_broken_or_lost_worker_ends_it():
    for beat, text in ((health("poisoned"), "^poisoned$"), (ActorDiedError(), "died unexpectedly")):
        with pytest.raises(WorkerLost, match=text):
            asyncio.run(RaySampler("s", handle(heartbeat=beat), None).heartbeat())
    sound = asyncio.run(RaySampler("s", handle(heartbeat=health()), None).heartbeat())
    assert sound.ok


@pytest.mark.parametrize(
    ("beat", "text"),
    [
        (
            asyncio.Event,
            r"^replay store \(deadlines.store\): no answer after 0 s; go on with --res",
        ),
        (ActorDiedError, r"^replay store was lost: .*died unexpectedly.*; go on with --resume$"),
    ],
)
def test_a_replay_store_that_hangs_or_is_lost_is_named(beat, text):
    beats = []

    async def heartbeat():
        beats.append(True)
        if len(beats) < 3:
            return
        if beat is ActorDiedError:
            raise ActorDiedError
        await beat().wait()

    store = RayStore(
        SimpleNamespace(heartbeat=SimpleNamespace(remote=heartbeat)), keep_committed=0, seconds=0.05
    )
    why = asyncio.run(store.failure(every=0.001))
    assert re.search(text, why), why

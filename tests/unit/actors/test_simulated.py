"""Samplers without a model: recorded episodes in groups, with the versions of the moment."""

import asyncio
import random

import numpy as np
import pytest

from redline.actors.errors import EngineError
from redline.actors.recording import BUILTIN, Recording
from redline.actors.settings import RolloutSettings, SimulationSettings
from redline.actors.simulated import SimulatedSampler
from redline.replay.encode import group_to_batch
from redline.replay.errors import StoreError
from redline.replay.export import export_parquet
from redline.replay.records import Probe, TrajectoryStatus, WeightUpdate
from redline.replay.store import ReplayStore

from .fakes import task


def update(version: int) -> WeightUpdate:
    return WeightUpdate(
        version=version,
        transport="object_store",
        manifest=(),
        buckets=(),
        adapter=(),
        probe=Probe(token_ids=np.zeros(2, np.int32), logprobs=np.zeros(1, np.float32)),
    )


def sampler(recording: Recording | None = None, *, speed: float = 1e6, **rollout):
    return SimulatedSampler(
        recording=recording or Recording.read(BUILTIN),
        rollout=RolloutSettings(simulation=SimulationSettings(speed=speed), **rollout),
        name="s",
        seed=5,
    )


def shape(trajectory):
    return [(len(t.state_token_ids), len(t.action_token_ids)) for t in trajectory.turns]


def test_a_group_is_storable_and_drawn_by_seed_and_id_alone():
    async def main():
        one, other = sampler(), sampler()
        await one.update_weights(update(3))
        await other.update_weights(update(3))
        return [await s.sample_group(task(), group_id="g7") for s in (one, other)]

    first, second = asyncio.run(main())
    assert len(first.trajectories) == 8
    assert [shape(t) for t in first.trajectories] == [shape(t) for t in second.trajectories]
    assert {t.task_id for t in first.trajectories} == {"t1"}
    assert [t.trajectory_id for t in first.trajectories] == [f"g7/{i}" for i in range(8)]
    assert first.oldest_version == 3
    assert group_to_batch(first).num_rows == 8


def test_tokens_carry_the_version_that_is_served_while_they_are_played():
    async def main():
        playing = sampler(speed=50.0)
        await playing.update_weights(update(1))
        work = asyncio.create_task(playing.sample_group(task(), group_id="g"))
        while not any(e.trajectory.turns for g in await playing.in_flight() for e in g.running):
            await asyncio.sleep(0.001)
        await playing.update_weights(update(2))
        return await work

    versions = [
        int(v) for t in asyncio.run(main()).trajectories for u in t.turns for v in u.weight_versions
    ]
    assert set(versions) == {1, 2}


def test_nothing_is_played_before_the_first_weights():
    with pytest.raises(EngineError, match="holds no weights yet"):
        asyncio.run(sampler().sample_group(task(), group_id="g"))


def test_a_group_that_was_begun_goes_on_where_it_was():
    async def main():
        first = sampler(speed=20.0)
        await first.update_weights(update(1))
        work = asyncio.create_task(first.sample_group(task(), group_id="g"))
        while not (begun := await first.in_flight()) or len(begun[0].running) < 4:
            await asyncio.sleep(0.001)
        work.cancel()
        second = sampler()
        await second.update_weights(update(2))
        return begun[0], await second.sample_group(task(), group_id="g", begun=begun[0])

    begun, whole = asyncio.run(main())
    assert first_tokens(begun) == first_tokens(whole)
    for episode in begun.running:
        ended = whole.trajectories[episode.trajectory.sample_index]
        taken = len(episode.trajectory.turns)
        assert ended.turns[:taken] == episode.trajectory.turns
        assert all(set(u.weight_versions.tolist()) <= {2} for u in ended.turns[taken:])
        np.testing.assert_array_equal(ended.turns[taken].state_token_ids, episode.next_state)


def first_tokens(group):
    return {int(t.turns[0].state_token_ids[0]) for t in group.trajectories}


def test_a_run_a_store_and_an_export_are_recordings(tmp_path):
    groups = asyncio.run(_groups(3))
    with ReplayStore(tmp_path / "run" / "replay") as store:
        for group in groups:
            store.append(group)
    export_parquet(tmp_path / "run" / "replay", tmp_path / "all.parquet")
    for source in ("run", "run/replay", "all.parquet"):
        recording = Recording.read(str(tmp_path / source))
        assert sorted(len(g) for g in recording.groups) == [8, 8, 8]
    drawn = recording.draw(random.Random(0), 11)
    assert len(drawn) == 11 and len({id(t) for t in drawn}) == 8
    assert all(t.status is not TrajectoryStatus.ABORTED for t in drawn)


async def _groups(count):
    playing = sampler()
    await playing.update_weights(update(0))
    return [await playing.sample_group(task(), group_id=f"g{i}") for i in range(count)]


@pytest.mark.parametrize("name", ["nothing", "nothing.parquet", "rubbish.parquet", "empty"])
def test_what_is_no_recording_is_named(tmp_path, name):
    (tmp_path / "rubbish.parquet").write_text("rubbish")
    ReplayStore(tmp_path / "empty").close()
    with pytest.raises(StoreError, match=name):
        Recording.read(str(tmp_path / name))

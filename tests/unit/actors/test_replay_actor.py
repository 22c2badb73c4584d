import asyncio
import time

import numpy as np

from redline.actors.replay_actor import ReplayActor
from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn
from redline.replay.settings import ReplaySettings


def group(name: str, version: int = 1) -> TrajectoryGroup:
    ids = np.arange(3, dtype=np.int32)
    turn = Turn(
        state_token_ids=ids,
        action_token_ids=ids,
        rollout_logprobs=np.zeros(3, dtype=np.float32),
        weight_versions=np.full(3, version, dtype=np.int32),
        action_text="EXIT",
        command="EXIT",
        error=None,
        program="p",
        feedback="",
        verdict=None,
        reward=0.5,
    )
    trajectory = Trajectory(
        trajectory_id=f"{name}/0",
        group_id=name,
        sample_index=0,
        task_id="t",
        initial_program="p",
        turns=(turn,),
        status=TrajectoryStatus.EXITED,
        solved=False,
        worker="w",
        seconds=0.1,
    )
    return TrajectoryGroup(group_id=name, task_id="t", trajectories=(trajectory,))


def ids(lease) -> list[str]:
    return [g.group_id for g in lease.groups]


def test_a_lease_waits_for_enough_groups(tmp_path):
    async def main():
        actor = ReplayActor(tmp_path, ReplaySettings(groups_per_segment=8))
        waiting = asyncio.ensure_future(actor.lease(2, deadline_s=10))
        assert await actor.append(group("a"))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await actor.append(group("b"))
        lease = await waiting
        await actor.close()
        return ids(lease)

    assert asyncio.run(main()) == ["a", "b"]


def test_a_lease_gives_up_at_its_deadline(tmp_path):
    async def main():
        actor = ReplayActor(tmp_path)
        await actor.append(group("a"))
        began = time.monotonic()
        none = await actor.lease(2, deadline_s=0.05)
        waited = time.monotonic() - began
        some = await actor.lease(2, deadline_s=0.01, partial=True)
        await actor.close()
        return none, waited, ids(some)

    none, waited, some = asyncio.run(main())
    assert none is None
    assert 0.04 < waited < 5
    assert some == ["a"]


def test_a_group_is_stored_once_and_trained_once(tmp_path):
    async def main():
        actor = ReplayActor(tmp_path)
        assert await actor.append(group("a"))
        assert not await actor.append(group("a"))
        lease = await actor.lease(1)
        await actor.commit(lease.lease_id)
        await actor.commit(lease.lease_id)
        none = await actor.lease(1)
        stats = await actor.stats()
        await actor.close()
        return none, stats.committed

    assert asyncio.run(main()) == (None, 1)


def test_a_released_group_wakes_who_waits_for_it(tmp_path):
    async def main():
        actor = ReplayActor(tmp_path)
        await actor.append(group("a"))
        first = await actor.lease(1)
        waiting = asyncio.ensure_future(actor.lease(1, deadline_s=10))
        await asyncio.sleep(0.01)
        await actor.release(first.lease_id)
        second = await waiting
        await actor.close()
        return ids(second)

    assert asyncio.run(main()) == ["a"]


def test_groups_that_are_too_old_are_not_lent(tmp_path):
    async def main():
        actor = ReplayActor(tmp_path)
        await actor.append(group("old", version=1))
        await actor.append(group("new", version=4))
        lease = await actor.lease(1, min_version=3)
        dropped = (await actor.stats()).dropped_groups
        await actor.close()
        return ids(lease), dropped

    assert asyncio.run(main()) == (["new"], 1)


def test_a_lease_takes_more_groups_on(tmp_path):
    async def main():
        actor = ReplayActor(tmp_path)
        for name in ("a", "b", "c"):
            await actor.append(group(name))
        lease = await actor.lease(1)
        longer = await actor.extend(lease.lease_id, 2)
        assert await actor.extend(lease.lease_id, 1) is None
        await actor.commit(lease.lease_id)
        committed = (await actor.stats()).committed
        await actor.close()
        return ids(longer), committed

    assert asyncio.run(main()) == (["a", "b", "c"], 3)

"""Simulated samplers behind the controller's port, as workers of a fleet."""

import asyncio

import cluster_fakes as fakes
import pytest

from redline.cluster.checks.resources import needs_of
from redline.cluster.config import DeadlineSettings
from redline.cluster.errors import UserError
from redline.cluster.load import load_config
from redline.cluster.loop.checkpoints import Checkpoints
from redline.cluster.loop.continuing import BegunGroups
from redline.cluster.loop.controller import Controller, Plan
from redline.cluster.loop.credits import Credits
from redline.cluster.loop.records import Position
from redline.cluster.loop.task_order import TaskOrder
from redline.cluster.simulating import read_recording, start_simulated
from redline.replay.store import ReplayStore

SIMULATED = ["rollout.simulation.source=builtin", "eval.tasks=0", "rollout.samplers=3"]


def test_groups_go_to_the_least_busy_sampler_and_into_the_store():
    config = load_config("demo", [*SIMULATED, "rollout.simulation.speed=1000000"])
    stored = []

    async def append(group):
        stored.append(group)

    async def main():
        samplers = await start_simulated(config, append)
        update = await fakes.FakeLearner(max_staleness=0, version=4).weight_update()
        receipts = await samplers.push(update)
        (task,) = fakes.make_tasks(1)
        await asyncio.gather(*(samplers.roll_out(task, f"g{n}") for n in range(6)))
        await samplers.fleets[0].close()
        return receipts

    receipts = asyncio.run(main())
    assert [r.version for r in receipts] == [4, 4, 4]
    assert sorted(group.group_id for group in stored) == [f"g{n}" for n in range(6)]
    workers = [group.trajectories[0].worker for group in stored]
    assert {name: workers.count(name) for name in set(workers)} == {
        f"sampler-{n}": 2 for n in range(3)
    }


def test_a_run_with_simulated_samplers_asks_for_no_room_for_them():
    config = load_config("demo", SIMULATED)
    (need,) = (need for need in needs_of(config) if need.kind == "sampler")
    assert (need.num_cpus, need.num_gpus, need.resources) == (0, 0, {})


def test_simulated_samplers_are_not_evaluated():
    with pytest.raises(UserError, match=r"set eval\.tasks=0"):
        load_config("demo", ["rollout.simulation.source=builtin"])


def test_a_recording_that_is_not_there_is_refused(tmp_path):
    config = load_config("demo", [*SIMULATED, f"rollout.simulation.source={tmp_path}/no"])
    with pytest.raises(UserError, match=r"rollout.simulation.source: .*/no: not a replay store"):
        read_recording(config)
    assert read_recording(load_config("demo")) is None


def drive(folder, config, steps):
    """One attempt at a run; the groups it was begun with, those it trained, and all it stored."""
    learner = fakes.FakeLearner(max_staleness=config.max_staleness)
    with ReplayStore(folder / "replay", groups_per_segment=2) as store:
        stored = {}

        async def append(group):
            stored[group.group_id] = group
            store.append(group)

        checkpoints = Checkpoints(folder / "checkpoints", keep=2)
        found = checkpoints.latest()
        if found:
            learner.load(found[0])
        order = TaskOrder(fakes.make_tasks(5), 0)
        begun = store.in_flight()
        controller = Controller(
            plan=Plan(steps=steps, checkpoint_every=2, deadlines=DeadlineSettings(batch=60.0)),
            samplers=None,
            store=fakes.FakeStore(store),
            learner=learner,
            observer=fakes.FakeObserver(),
            checkpoints=checkpoints,
            credits=Credits(
                max_staleness=config.max_staleness,
                groups_per_step=2,
                stored=store.stats().available,
            ),
            order=order,
            todo=order.numbers(store.group_ids()),
            position=found[1] if found else Position(),
            begun=BegunGroups(begun),
        )

        async def go():
            controller.samplers = await start_simulated(config, append)
            await controller.publish()
            await controller.run()
            await controller.samplers.fleets[0].close()

        asyncio.run(go())
        assert store.stats().dropped_groups == 0
        return begun, learner.trained, stored


def test_recorded_groups_go_on_in_a_second_attempt(tmp_path):
    config = load_config("demo", [*SIMULATED, "rollout.simulation.speed=30", "max_staleness=2"])
    _, first, _ = drive(tmp_path, config, 3)
    begun, second, stored = drive(tmp_path, config, 9)
    assert len({*first, *second}) == len(first) + len(second) == 18
    whole = [group for group in begun if group.group_id in stored]
    assert whole
    for group in whole:
        for before in group.trajectories:
            after = stored[group.group_id].trajectories[before.sample_index]
            for had, has in zip(before.turns, after.turns, strict=False):
                assert had.action_token_ids.tolist() == has.action_token_ids.tolist()
                assert had.weight_versions.tolist() == has.weight_versions.tolist()

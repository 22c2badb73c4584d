"""Simulated samplers behind the controller's port, as workers of a fleet."""

import asyncio

import cluster_fakes as fakes
import pytest

from redline.cluster.errors import UserError
from redline.cluster.load import load_config
from redline.cluster.resources import needs_of
from redline.cluster.simulating import read_recording, start_simulated

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
        await samplers.fleet.close()
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

"""Scaling by load: how many are asked for, and what the autoscaler makes of a run's figures."""

import asyncio
import dataclasses

import cluster_fakes as fakes
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worker_fakes import World, make_scaler

from redline.actors.records import SandboxHealth
from redline.cluster.config import AutoscaleSettings
from redline.cluster.errors import UserError
from redline.cluster.load import load_config
from redline.cluster.loop.records import StepReport
from redline.cluster.workers.autoscaler import Autoscaler
from redline.cluster.workers.target_tracking import TargetTracker, sampler_ratio


def tracker(**more):
    return TargetTracker(**({"least": 1, "most": 8, "hold": 100.0} | more))


@pytest.mark.parametrize(
    ("count", "ratio", "wanted"),
    [(2, 1.0, 2), (2, 1.09, 2), (2, 1.5, 3), (2, 9.0, 4), (6, 2.0, 8), (4, 0.5, 2), (4, 0.0, 1)],
)
def test_the_count_follows_the_load_within_bounds(count, ratio, wanted):
    assert tracker().decide(0.0, count, ratio) == wanted


def test_a_lull_takes_nobody_out_that_was_needed_a_while_ago():
    following = tracker()
    assert following.decide(0.0, 4, 1.5) == 6
    assert following.decide(50.0, 6, 0.3) == 6
    assert following.decide(99.0, 6, 0.6) == 6
    assert following.decide(120.0, 6, 0.3) == 4, "the most that was asked for since 20.0"
    assert following.decide(300.0, 4, 0.3) == 2


@given(
    st.integers(1, 5),
    st.integers(5, 20),
    st.lists(st.tuples(st.integers(1, 20), st.floats(0, 50)), min_size=1),
)
def test_bounds_hold_whatever_is_measured(least, most, looks):
    following = tracker(least=least, most=most)
    for now, (count, ratio) in enumerate(looks):
        assert least <= following.decide(float(now), count, ratio) <= most


def test_a_starved_learner_asks_for_samplers_and_idle_samplers_for_fewer():
    assert sampler_ratio(waiting=0.1, idle=0.0, aim=0.1) == pytest.approx(1.0)
    assert sampler_ratio(waiting=0.55, idle=0.0, aim=0.1) == pytest.approx(2.0)
    assert sampler_ratio(waiting=0.0, idle=0.5, aim=0.0) == pytest.approx(0.5)
    assert sampler_ratio(waiting=1.0, idle=0.0, aim=0.0) < 100.0


def step(wait, idle=0.0, total=10.0):
    return StepReport(
        result=fakes.make_result(1, 1, ["g"], [0]), receipts=(), in_flight=1, truncated_rate=0.0,
        seconds_generation=1.0, rollouter_idle_ratio=idle, seconds_wait=wait, seconds_train=1.0,
        seconds_push=0.0, seconds_total=total,
    )  # fmt: skip


def followed(work, *, cpus=100.0, **settings):
    async def main():
        async with World(samplers=1) as world:
            await world.push(0)
            scaler = make_scaler(world, cpus=cpus)
            await work(world, Autoscaler(scaler, AutoscaleSettings(**settings), tell=print))

    asyncio.run(main())


def test_a_run_whose_learner_waits_gets_samplers_and_its_busy_sandboxes_company():
    async def work(world, autoscaler):
        autoscaler.on_step(step(wait=8.0))
        sandbox = world.rollouts.sandboxes.members[0]
        await world.until(lambda: sandbox.health is not None)
        sandbox.health = SandboxHealth(
            worker="s", ok=True, problem="", workers=2, running=2, queued=10, executions=0
        )
        autoscaler.sample()
        await autoscaler.look()
        assert [fleet.target for fleet in world.rollouts.fleets.values()] == [2, 2]
        assert any("samplers: 1 to 2 (autoscaler: the learner waited 80%" in x for x in world.lines)
        await world.until(lambda: len(world.serving()) == 2)
        await autoscaler.look()
        assert world.fleet.target == 2, "nothing was measured since"

    followed(work)


def test_what_the_cluster_cannot_hold_is_told_once(capsys):
    async def work(world, autoscaler):
        for _ in range(3):
            autoscaler.on_step(step(wait=8.0))
            await autoscaler.look()
        assert world.fleet.target == 1

    followed(work, cpus=1.0)
    assert capsys.readouterr().out.count("samplers stay as they are") == 1


def test_bounds_the_wrong_way_round_are_refused():
    with pytest.raises(UserError, match=r"samplers_min=5 is above fleet.autoscale.samplers_max=4"):
        load_config("demo", ["fleet.autoscale.samplers_min=5"])
    assert dataclasses.asdict(load_config("demo", []).fleet)["autoscale"]["enabled"] is False

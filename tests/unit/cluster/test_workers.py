"""Workers that are killed, hung and poisoned: replaced, never resumed, and no group is lost."""

import asyncio
import random
from dataclasses import dataclass

import pytest
from cluster_fakes import make_tasks
from hypothesis import given, settings
from hypothesis import strategies as st
from worker_fakes import World

from redline.cluster.errors import WorkFailed
from redline.cluster.workers.budget import RestartBudget
from redline.cluster.workers.lifecycle import LIVE, Member, Stage

(TASK,) = make_tasks(1)


def budget(**more):
    given = {"restarts": 3, "window": 100.0, "first_delay": 1.0, "longest_delay": 3.0}
    return RestartBudget(**(given | more))


def test_each_replacement_within_the_window_comes_later_until_the_budget_is_spent():
    spent = budget()
    assert [spent.after_loss(now) for now in (0.0, 1.0, 2.0, 3.0)] == [1.0, 2.0, 3.0, None]


def test_an_old_loss_is_forgotten():
    spent = budget()
    for now in (0.0, 1.0, 2.0):
        spent.after_loss(now)
    assert spent.after_loss(100.5) == 3.0
    assert spent.after_loss(100.6) is None
    assert spent.after_loss(1000.0) == 1.0


@given(st.lists(st.sampled_from(Stage), max_size=8))
def test_nobody_comes_back(stages):
    member = Member(name="m", worker=None, since=0.0)
    for stage in stages:
        out = not member.live
        try:
            member.to(stage, 1.0)
        except RuntimeError as error:
            assert f"cannot become {stage}" in str(error)
        else:
            assert not out
        assert member.gone.is_set() == (member.stage not in LIVE)
        if stage is Stage.SERVING and member.stage is stage:
            assert Stage.PROVING in stages


@dataclass
class Turns:
    """Turns of a group, as far as a sampler tells."""

    group_id: str
    seen_on: str


def run(work, **world):
    async def main():
        async with World(**world) as made:
            return await work(made)

    return asyncio.run(main())


def test_nothing_is_sampled_before_the_first_proven_weights():
    async def work(world):
        rollout = asyncio.ensure_future(world.samplers.roll_out(TASK, "g"))
        await asyncio.sleep(0.03)
        assert world.begun == []
        receipts = await world.push(0)
        await rollout
        return sorted(receipt.worker for receipt in receipts)

    assert run(work) == ["sampler-0", "sampler-1"]


def test_a_killed_samplers_groups_start_again_under_their_ids_on_a_proven_one():
    async def work(world):
        world.seconds = 0.1
        await world.push(3)
        names = [f"g{n}" for n in range(8)]
        rollouts = [asyncio.ensure_future(world.samplers.roll_out(TASK, n)) for n in names]
        await world.until(lambda: len(world.begun) == 8)
        lost = set(world.workers["sampler-0"].groups)
        world.workers["sampler-0"].kill()
        await asyncio.gather(*rollouts)
        assert sorted(world.store) == names
        assert "sampler-0" not in world.store.values()
        assert sorted(n for n, _ in world.begun) == sorted([*names, *lost])
        assert world.samplers.requeued == len(lost) == 4
        await world.until(lambda: world.serving() == ["sampler-1", "sampler-2"])
        assert world.workers["sampler-2"].version == 3
        assert world.workers["sampler-0"].ended
        assert any("sampler-0 is lost: was killed; a new" in line for line in world.lines)

    run(work)


def test_a_hung_sampler_is_found_by_its_heartbeat_and_its_groups_done_elsewhere():
    async def work(world):
        await world.push(0)
        world.workers["sampler-0"].hung = True
        await asyncio.gather(*(world.samplers.roll_out(TASK, f"g{n}") for n in range(4)))
        assert len(world.store) == 4
        assert any("heartbeat of sampler-0" in line for line in world.lines)

    run(work, heartbeat=0.3)


def test_lost_and_hung_samplers_keep_nobody_from_saving_what_the_others_have(monkeypatch, caplog):
    monkeypatch.setattr("redline.cluster.workers.samplers._SECONDS_TO_TELL", 0.05)

    async def main():
        async with World(samplers=3, pause=60.0) as world:
            await world.push(1)
            hung, dead, sound = (world.workers[name] for name in world.serving())
            hung.hung, dead.dead = True, "was killed"
            assert await world.samplers.in_flight() == [f"begun on {sound.name}"]

    asyncio.run(main())
    assert "was lost: was killed; a resumed run begins its groups again" in caplog.text
    assert "no answer after" in caplog.text


def test_a_lost_samplers_group_goes_on_from_the_turns_that_were_last_seen():
    async def work(world):
        world.seconds = 3600
        await world.push(0)
        for worker in world.workers.values():
            worker.turns = (Turns(group_id="g8", seen_on=worker.name),)
        rollout = asyncio.ensure_future(world.samplers.roll_out(TASK, "g7"))
        await world.until(lambda: len(world.begun) == 1)
        ((_, first),) = world.begun
        seen = Turns(group_id="g7", seen_on=first)
        world.workers[first].turns = (seen, Turns(group_id="g9", seen_on=first))
        asked = world.workers[first].asked
        await world.until(lambda: world.workers[first].asked > asked + 1)
        world.seconds = 0.001
        world.workers[first].kill()
        await rollout
        assert world.went_on == [("g7", seen)]
        assert world.store["g7"] != first

    run(work, turns_every=0.005)


def test_a_mistake_in_the_fleets_own_work_is_not_lost_with_its_task():
    async def work(world):
        world.workers["sampler-0"].turns = ("no group",)
        rollout = asyncio.ensure_future(world.samplers.roll_out(TASK, "g7"))
        with pytest.raises(AttributeError, match="group_id"):
            await world.rollouts.failure()
        rollout.cancel()

    run(work, turns_every=0.005, starts_proven=True)


def test_a_begun_group_is_given_to_the_sampler_that_goes_on_with_it():
    async def main():
        async with World() as world:
            await world.push(1)
            await world.samplers.roll_out(TASK, "g7", begun="turns so far")
            assert world.went_on == [("g7", "turns so far")]

    asyncio.run(main())


def test_a_poisoned_sampler_is_quarantined_and_never_given_work_again():
    async def work(world):
        await world.push(0)
        world.workers["sampler-1"].poisoned = True
        receipts = await world.push(1)
        assert [receipt.worker for receipt in receipts] == ["sampler-0"]
        assert world.serving() == ["sampler-0"]
        await world.until(lambda: world.serving() == ["sampler-0", "sampler-2"])
        assert world.workers["sampler-1"].ended
        assert world.workers["sampler-2"].version == 1
        assert any("sampler-1 is quarantined" in line for line in world.lines)

    run(work)


def test_one_that_is_silent_at_a_push_does_not_keep_the_others_waiting_for_ever():
    async def work(world):
        await world.push(0)
        world.workers["sampler-0"].hung = True
        receipts = await world.push(1)
        assert [receipt.worker for receipt in receipts] == ["sampler-1"]

    run(work, push=0.3)


def test_wrong_weights_at_the_first_push_end_the_run():
    async def work(world):
        world.poisonous = True
        with pytest.raises(WorkFailed, match="sampler-0 holds other weights; sampler-1 holds"):
            await world.push(0)

    run(work)


def test_the_only_sampler_may_be_lost_during_a_push():
    async def work(world):
        await world.push(0)
        world.workers["sampler-0"].kill()
        assert await world.push(1) == []
        await world.samplers.roll_out(TASK, "g")
        assert world.store == {"g": "sampler-1"}
        assert world.workers["sampler-1"].version == 1

    run(work, samplers=1)


def test_a_group_that_ends_every_sampler_ends_the_run():
    async def work(world):
        await world.push(0)
        world.unlucky.add("g")
        with pytest.raises(WorkFailed, match=r"group g was lost 2 times .*its node was lost"):
            await world.samplers.roll_out(TASK, "g")

    run(work, attempts=2)


def test_when_nobody_is_left_everybody_is_told_why():
    async def work(world):
        await world.push(0)
        world.fleet._budget.restarts = 2
        world.cannot_start = "no memory"
        world.workers["sampler-0"].kill()
        failure = await world.rollouts.failure()
        assert "no sampler is left: sampler-2 is lost: sampler-2 failed: no memory" in failure
        with pytest.raises(WorkFailed, match="no sampler is left"):
            await world.samplers.roll_out(TASK, "g")

    run(work, samplers=1)


def test_growing_adds_samplers_that_serve_when_proven_and_shrinking_drains_them():
    async def work(world):
        await world.push(7)
        world.fleet.resize(3)
        await world.until(lambda: len(world.serving()) == 3)
        assert world.workers["sampler-2"].version == 7
        world.seconds = 0.05
        rollouts = [asyncio.ensure_future(world.samplers.roll_out(TASK, f"g{n}")) for n in range(6)]
        await world.until(lambda: len(world.begun) == 6)
        world.fleet.resize(1)
        assert world.fleet.target == 1
        await world.push(8)
        await asyncio.gather(*rollouts)
        await world.until(lambda: len(world.fleet.members) == 1)
        assert len(world.begun) == len(world.store) == 6, "drained: nothing was started twice"
        assert sum(worker.ended for worker in world.workers.values()) == 2

    run(work, samplers=1)


def test_one_that_does_not_drain_in_time_is_ended_and_its_work_done_elsewhere():
    async def work(world):
        await world.push(0)
        world.seconds = 3600
        rollouts = [asyncio.ensure_future(world.samplers.roll_out(TASK, f"g{n}")) for n in range(2)]
        await world.until(lambda: len(world.begun) == 2)
        world.fleet.resize(1)
        await world.until(lambda: len(world.begun) == 3)
        for worker in world.workers.values():
            worker.changed.set()
        await asyncio.gather(*rollouts)
        assert sorted(world.store) == ["g0", "g1"]
        assert any("left the fleet; 1 groups go to others" in line for line in world.lines)

    run(work, drain=0.05)


def test_samplers_hear_of_every_sandbox_that_comes_and_goes():
    async def work(world):
        await world.push(0)
        sampler, known = world.workers["sampler-0"], world.rollouts.sandboxes
        await world.until(lambda: sampler.sandboxes == ("sandbox-0",))
        world.workers["sandbox-0"].kill()
        await world.until(lambda: sampler.sandboxes == ("sandbox-1",))
        known.resize(2)
        await world.until(lambda: sampler.sandboxes == ("sandbox-1", "sandbox-2"))
        world.workers["sandbox-1"].groups["busy"] = 0
        world.workers["sandbox-2"].groups["busy"] = 0
        known.resize(1)
        await world.until(lambda: len(sampler.sandboxes) == 1)
        await asyncio.sleep(0.03)
        assert len(known.members) == 2, "it has programs to finish"
        for worker in world.workers.values():
            worker.groups.clear()
        await world.until(lambda: len(known.members) == 1)
        world.fleet.resize(2)
        await world.until(lambda: world.workers.get("sampler-1") is not None)
        await world.until(lambda: world.workers["sampler-1"].sandboxes == sampler.sandboxes)

    run(work, samplers=1)


def test_news_of_a_sandbox_is_never_overtaken_by_what_was_told_before():
    """Else the sampler would wait for a sandbox that is there."""

    async def work(world):
        await world.push(0)
        sandboxes, world.slow_news = world.rollouts.sandboxes, 0.1
        sandboxes.resize(0)
        await world.until(lambda: not sandboxes.members)
        world.fleet.resize(2)
        await world.until(lambda: world.fleet.at(Stage.PROVING))
        sandboxes.resize(1)
        await world.until(lambda: len(world.serving()) == 2)
        await asyncio.sleep(0.2)
        assert {w.sandboxes for n, w in world.workers.items() if n.startswith("sampler")} == {
            ("sandbox-1",)
        }

    run(work, samplers=1)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_any_order_of_failures_leaves_each_group_stored_once(seed):
    async def work(world):
        rng = random.Random(seed)
        world.seconds = 0.01
        await world.push(0)
        rollouts = [
            asyncio.ensure_future(world.samplers.roll_out(TASK, f"g{n}")) for n in range(20)
        ]
        for version in range(1, 9):
            await asyncio.sleep(rng.random() * 0.01)
            victim = world.workers[rng.choice(sorted(world.workers))]
            what = rng.choice(["kill", "poison", "grow", "shrink"])
            if what == "kill":
                victim.kill()
            elif what == "poison":
                victim.poisoned = True
            else:
                world.fleet.resize(3 if what == "grow" else 1)
            await world.push(version)
        await asyncio.gather(*rollouts)
        assert sorted(world.store) == sorted(f"g{n}" for n in range(20))
        assert world.fleet.problem == ""

    run(work, attempts=50)

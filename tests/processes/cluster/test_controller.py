"""The loop with plain objects: nothing lost, nothing twice, nothing too old, under any delays."""

import asyncio
import dataclasses
import time
from pathlib import Path

import cluster_fakes as fakes
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redline.cluster.config import DeadlineSettings
from redline.cluster.errors import WorkFailed
from redline.cluster.loop.checkpoints import Checkpoints
from redline.cluster.loop.continuing import BEGIN_AGAIN, DROP, BegunGroups
from redline.cluster.loop.controller import Controller, Plan
from redline.cluster.loop.credits import Credits
from redline.cluster.loop.records import Position
from redline.cluster.loop.resampling import Resampling
from redline.cluster.loop.task_order import TaskOrder, group_id
from redline.replay.cursor import Cursor
from redline.replay.records import DropReason
from redline.replay.sampling import Sampling
from redline.replay.settings import SamplingPolicy
from redline.replay.store import ReplayStore


def is_dull(group):
    """Whether a group has no signal: every third has none."""
    return int(group.group_id[1:]) % 3 == 0


class Run:
    """One attempt at a run in a folder; a second one in the same folder resumes."""

    def __init__(
        self,
        folder,
        *,
        seed=0,
        staleness=1,
        per_step=2,
        steps=6,
        every=2,
        tasks=5,
        slow=0.01,
        policy=SamplingPolicy.FIFO,
        resampled=None,
        too_old=BEGIN_AGAIN,
    ):
        self.folder = Path(folder)
        self.store = ReplayStore(
            self.folder / "replay",
            groups_per_segment=3,
            sampling=Sampling(policy=policy, seed=seed),
        )
        self.learner = fakes.FakeLearner(max_staleness=staleness, seconds=slow / 3)
        self.samplers = fakes.FakeSamplers(store=self.store, seed=seed, slowest=slow)
        self.observer = fakes.FakeObserver()
        self.checkpoints = Checkpoints(self.folder / "checkpoints", keep=2)
        self.per_step, self.staleness = per_step, staleness
        self.lost, position = self._restore()
        stats = self.store.stats()
        order = TaskOrder(fakes.make_tasks(tasks), seed)
        self.credits = Credits(
            max_staleness=staleness,
            groups_per_step=per_step,
            stored=stats.available + stats.buffered,
        )
        self.controller = Controller(
            plan=Plan(steps=steps, checkpoint_every=every, deadlines=DeadlineSettings(batch=5.0)),
            samplers=self.samplers,
            store=fakes.FakeStore(self.store),
            learner=self.learner,
            observer=self.observer,
            checkpoints=self.checkpoints,
            credits=self.credits,
            order=order,
            todo=order.numbers(self.store.group_ids()),
            position=position,
            resampling=resampled
            and Resampling(limit=resampled, without_signal=lambda g: sum(map(is_dull, g))),
            begun=BegunGroups(self.store.in_flight(), too_old=too_old),
        )

    def _restore(self):
        found = self.checkpoints.latest()
        position = Position()
        if found:
            folder, position = found
            self.learner.load(folder)
        start = position.store_cursor or Cursor(
            store_id=self.store.store_id, committed=(), dropped=()
        )
        lost = self.store.stats().committed - sum(r.last - r.first + 1 for r in start.committed)
        self.store.rewind(start)
        return lost, position

    async def go(self, kill_after=None):
        await self.controller.replay(self.lost)
        await self.controller.publish()
        work = asyncio.create_task(self.controller.run())
        if kill_after is not None:
            await asyncio.sleep(kill_after)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            return
        await work

    def kill(self):
        """Leave the store as SIGKILL would: what is buffered is gone."""
        self.store._buffer.clear()
        self.store._lock.release()


DELAYS = st.floats(0.0005, 0.004)
POLICIES = st.sampled_from(SamplingPolicy)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 1000),
    staleness=st.integers(0, 3),
    per_step=st.integers(1, 4),
    slow=DELAYS,
    policy=POLICIES,
)
def test_trains_each_group_once_within_the_bounds(
    tmp_path_factory, seed, staleness, per_step, slow, policy
):
    run = Run(
        tmp_path_factory.mktemp("run"),
        seed=seed,
        staleness=staleness,
        per_step=per_step,
        slow=slow,
        policy=policy,
    )
    asyncio.run(run.go())
    assert run.learner.steps == 6
    assert len(run.learner.trained) == 6 * per_step
    assert len(set(run.learner.trained)) == len(run.learner.trained)
    assert run.samplers.most_running <= (staleness + 1) * per_step
    assert run.store.stats().dropped_groups == 0
    assert [r.result.weight_version for r in run.observer.reports] == [1, 2, 3, 4, 5, 6]
    assert all(r.result.staleness_max <= staleness for r in run.observer.reports)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 1000),
    staleness=st.integers(0, 2),
    kill=st.floats(0.0, 0.1),
    policy=POLICIES,
)
def test_killed_and_resumed_runs_lose_nothing(tmp_path_factory, seed, staleness, kill, policy):
    folder = tmp_path_factory.mktemp("run")
    first = Run(folder, seed=seed, staleness=staleness, steps=8, every=3, policy=policy)
    asyncio.run(first.go(kill_after=kill))
    first.kill()
    with ReplayStore(folder / "replay") as store:
        sealed = store.group_ids()
    second = Run(folder, seed=seed, staleness=staleness, steps=8, every=3, policy=policy)
    kept = first.learner.trained[: 2 * second.learner.steps]
    reached = first.controller.version
    asyncio.run(second.go())
    trained = kept + second.learner.trained
    assert second.learner.steps == 8
    assert len(trained) == len(set(trained)) == 16
    assert second.store.stats().dropped_groups == 0
    if second.lost:
        assert second.samplers.version >= reached
    # What was in flight or buffered when it died is asked for again before anything newer.
    asked = sorted(int(name[1:]) for name in second.samplers.started)
    missing = [n for n in range(max(asked, default=-1) + 1) if f"g{n:08d}" not in sealed]
    assert asked == missing


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 1000),
    staleness=st.integers(0, 2),
    per_step=st.integers(1, 4),
    limit=st.integers(1, 4),
    policy=POLICIES,
)
def test_groups_without_signal_are_replaced_up_to_a_limit(
    tmp_path_factory, seed, staleness, per_step, limit, policy
):
    run = Run(
        tmp_path_factory.mktemp("run"),
        seed=seed,
        staleness=staleness,
        per_step=per_step,
        slow=0.002,
        policy=policy,
        resampled=limit,
    )
    asyncio.run(run.go())
    assert run.learner.steps == 6
    for batch, report in zip(run.learner.batches, run.observer.reports, strict=True):
        dull = sum(int(name[1:]) % 3 == 0 for name in batch)
        assert report.resampled_groups == len(batch) - per_step == min(dull, limit)
    assert len(set(run.learner.trained)) == len(run.learner.trained)
    stats = run.store.stats()
    assert (stats.committed, stats.dropped_groups) == (len(run.learner.trained), 0)
    assert run.samplers.most_running <= (staleness + 1) * per_step


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 1000),
    staleness=st.integers(0, 2),
    kill=st.floats(0.01, 0.1),
    policy=POLICIES,
)
def test_resampled_batches_are_trained_again_as_they_were(
    tmp_path_factory, seed, staleness, kill, policy
):
    folder = tmp_path_factory.mktemp("run")
    chosen = {"seed": seed, "staleness": staleness, "policy": policy}
    first = Run(folder, **chosen, steps=8, every=3, slow=0.003, resampled=3)
    asyncio.run(first.go(kill_after=kill))
    first.kill()
    second = Run(folder, **chosen, steps=8, every=3, slow=0.003, resampled=3)
    kept = second.learner.steps
    asyncio.run(second.go())
    lost = first.learner.batches[kept : kept + len(first.observer.reports) - kept]
    assert second.learner.batches[: len(lost)] == lost
    trained = [name for b in first.learner.batches[:kept] for name in b] + second.learner.trained
    assert len(trained) == len(set(trained)) == second.store.stats().committed
    assert second.store.stats().dropped_groups == 0
    assert second.learner.steps == 8


def test_what_a_killed_step_was_topped_up_with_is_trained_in_the_next(tmp_path):
    """More groups than the limit wait then; none of them may become too old."""
    with ReplayStore(tmp_path / "replay") as store:
        for number in (1, 2, 4, 5, 7):
            store.append(fakes.make_group(f"g{number:08d}", "t", [0]))
    run = Run(tmp_path, staleness=1, policy=SamplingPolicy.UNIFORM, resampled=3)
    assert run.credits.excess == 1
    asyncio.run(run.go())
    assert len(run.learner.batches[0]) == 3
    assert run.store.stats().dropped_groups == 0


def test_a_failing_group_ends_the_run_with_its_error(tmp_path):
    run = Run(tmp_path)
    run.samplers.fail_on = "g00000003"
    with pytest.raises(RuntimeError, match="g00000003 broke"):
        asyncio.run(run.go())


def test_a_batch_that_never_comes_names_who_is_awaited(tmp_path):
    run = Run(tmp_path, slow=3.0)
    run.controller.plan = Plan(
        steps=1, checkpoint_every=1, deadlines=DeadlineSettings(batch=0.05, push=5.0)
    )
    run.controller.explain = lambda: "because of sampler-0"
    late = r"waited 0 s for 2 groups and has 0; .*g00000000.* because of sampler-0$"
    with pytest.raises(WorkFailed, match=late):
        asyncio.run(run.go())


def test_no_step_is_begun_when_the_time_is_up_and_what_was_reached_is_saved(tmp_path):
    run = Run(tmp_path, steps=100_000, every=100_000)
    run.controller.plan = dataclasses.replace(run.controller.plan, ends_at=time.monotonic() + 0.2)
    asyncio.run(run.go())
    _, position = run.checkpoints.latest()
    assert 0 < position.step == run.learner.steps < 100_000
    assert time.monotonic() < run.controller.plan.ends_at + 5.0


def test_stop_saves_a_checkpoint_of_the_step_it_reached(tmp_path):
    run = Run(tmp_path, steps=1000, every=1000)

    async def go():
        work = asyncio.create_task(run.go())
        while len(run.observer.reports) < 3:
            await asyncio.sleep(0.005)
        run.controller.stop()
        await work

    asyncio.run(go())
    _, position = run.checkpoints.latest()
    assert position.step == run.learner.steps >= 3
    assert position.weight_version == run.learner.version


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 1000),
    staleness=st.integers(0, 3),
    stop=st.floats(0.0, 0.1),
    kill=st.booleans(),
)
def test_groups_in_flight_go_on_from_their_turns(tmp_path_factory, seed, staleness, stop, kill):
    folder = tmp_path_factory.mktemp("run")
    options = {"seed": seed, "staleness": staleness, "steps": 8, "every": 3}
    first = Run(folder, **options)
    asyncio.run(_stopped(first, stop, kill))
    first.kill() if kill else first.store.close()
    second = Run(folder, **options)
    begun = {g.group_id: g.versions for g in second.controller.begun.waiting}
    asyncio.run(second.go())
    assert second.learner.steps == 8
    assert second.store.stats().dropped_groups == 0
    assert set(second.samplers.went_on) == set(begun), "each went on, none twice, none other"
    kept = first.learner.trained[: 2 * (8 - len(second.learner.trained) // 2)]
    trained = kept + second.learner.trained
    assert len(trained) == len(set(trained)) == 16


async def _stopped(run, seconds, kill):
    if kill:
        await run.go(kill_after=seconds)
        return
    work = asyncio.create_task(run.go())
    await asyncio.sleep(seconds)
    run.controller.stop()
    await work
    unfinished = {name for name, *_ in map(_named, run.store.in_flight())}
    assert unfinished <= set(run.credits.in_flight)


def _named(group):
    return group.group_id, group.versions


@pytest.mark.parametrize("too_old", [BEGIN_AGAIN, DROP])
def test_a_begun_group_that_is_too_old_begins_again_or_is_dropped_and_counted(tmp_path, too_old):
    first = Run(tmp_path, staleness=1, steps=4, every=1)
    asyncio.run(first.go())
    assert first.learner.version == 4
    first.samplers.version = 4
    first.store.seal()
    while first.store.stats().available:  # all that the end of the run left behind
        lease = first.store.lease(1)
        first.store.commit(lease.lease_id)
    _, position = first.checkpoints.latest()
    position = dataclasses.replace(position, store_cursor=first.store.cursor())
    asyncio.run(first.checkpoints.save(first.learner, position))
    missing = TaskOrder(fakes.make_tasks(1), 0).numbers(first.store.group_ids())
    old, good, strange, young = (group_id(next(missing)) for _ in range(4))
    first.store.save_in_flight(
        [
            fakes.make_partial(old, "t0", [1, 4]),
            fakes.make_partial(good, "t0", [3, 4]),
            fakes.make_partial(strange, "t0", [4, 9]),  # of weights that were never reached
            fakes.make_partial(young, "t0", [4]),
        ]
    )
    first.store.close()
    second = Run(tmp_path, staleness=1, steps=8, every=4, too_old=too_old)
    asyncio.run(second.go())
    assert second.samplers.went_on == {good: [3, 4], young: [4]}
    stats = second.store.stats()
    if too_old == DROP:
        assert {old, strange}.isdisjoint(second.samplers.started)
        assert [(d.reason, d.trajectories) for d in stats.dropped] == [(DropReason.STALE, 2)]
    else:
        assert {old, strange} <= set(second.samplers.started)
        assert stats.dropped_groups == 0
    assert second.learner.steps == 8


def test_without_progress_no_checkpoint_is_written(tmp_path):
    run = Run(tmp_path, steps=0)
    asyncio.run(run.go())
    assert run.checkpoints.latest() is None

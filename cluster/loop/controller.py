"""The main loop of a run.

    tasks ──▶ samplers ──groups──▶ store ──lease──▶ learner ──▶ weights v+1 ──▶ samplers
      ▲                                               │
      └──────────── credits, given back by ◀──────────┘ commit and push

Groups are sampled all the time, as many as there are credits (`credits.py`); each finished group
makes room for the next. The loop itself takes one batch after the other: lease, train, commit,
push, checkpoint. The commit comes before the push, so a stored token of version v+1 proves that
the batch which made v+1 was committed.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from redline.cluster.config import DeadlineSettings
from redline.cluster.deadlines import in_time, wait_in_time
from redline.cluster.errors import WorkFailed
from redline.cluster.loop.checkpoints import Checkpoints
from redline.cluster.loop.continuing import BegunGroups, oldest_version
from redline.cluster.loop.credits import Credits
from redline.cluster.loop.ports import Learner, Lease, Observer, Samplers, Store
from redline.cluster.loop.records import Position, StepReport
from redline.cluster.loop.resampling import Resampling
from redline.cluster.loop.stall import Activity
from redline.cluster.loop.task_order import TaskOrder, group_id
from redline.replay.records import (
    PartialGroup,
    StepResult,
    TrajectoryGroup,
    TrajectoryStatus,
    WeightReceipt,
)

WAITING = "waiting for groups"
"""What the loop does while the learner has nothing to train on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How far a run goes, and how often it saves."""

    steps: int
    checkpoint_every: int
    deadlines: DeadlineSettings
    ends_at: float = math.inf
    """Time of the monotonic clock, seconds, from which on no step is begun."""


class Controller:
    """Drives samplers, store and learner until the plan is done or a stop is asked for."""

    def __init__(
        self,
        *,
        plan: Plan,
        samplers: Samplers,
        store: Store,
        learner: Learner,
        observer: Observer,
        checkpoints: Checkpoints,
        credits: Credits,
        order: TaskOrder,
        todo: Iterator[int],
        position: Position,
        resampling: Resampling | None = None,
        begun: BegunGroups | None = None,
    ) -> None:
        self.plan = plan
        self.samplers = samplers
        self.store = store
        self.learner = learner
        self.observer = observer
        self.checkpoints = checkpoints
        self.credits = credits
        self.order = order
        self.todo = todo
        self.resampling = resampling
        self.begun = BegunGroups() if begun is None else begun
        self.step = position.step
        self.version = position.weight_version
        self.activity = Activity()
        self.explain: Callable[[], str] = lambda: ""
        """Says who keeps a batch waiting that is late."""
        self._saved_step = position.step
        self._rollouts: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._idle = IdleClock()
        self._stopping = False

    def stop(self) -> None:
        """Ask the loop to checkpoint and end, without waiting for groups in flight."""
        self._stopping = True
        self._changed.set()

    @property
    def finished(self) -> bool:
        """Whether the plan's last step is done or its time is up."""
        return self.step >= self.plan.steps or time.monotonic() >= self.plan.ends_at

    async def run(self) -> None:
        """Train until the plan ends; raises WorkFailed naming what failed or was late."""
        self._idle.take()  # what came before the loop is not its idleness
        await self.begun.settle(self.store, self.credits, self.version)
        try:
            while not (self._stopping or self.finished):
                self._start_groups()
                await self._train_one_batch()
            if self.step > self._saved_step:
                await self._checkpoint()
            else:
                await self._save_in_flight()
        finally:
            await self._cancel_rollouts()

    async def replay(self, groups: int) -> None:
        """Train the `groups` that were committed after the checkpoint again, batch by batch.

        Nothing is sampled or pushed meanwhile: a resumed run first arrives at the version that it
        had reached, so that a version number never means two different sets of weights at once.
        """
        while groups >= self.credits.groups_per_step and not self._stopping:
            groups -= await self._train_one_batch(push=False)

    async def publish(self) -> list[WeightReceipt]:
        """Push the learner's weights to all samplers and adopt their version."""
        self.activity.begin("pushing weights")
        update = await self.learner.weight_update()
        deadline = self.plan.deadlines.push
        receipts = await in_time(self.samplers.push(update), deadline, "push of new weights")
        self.version = update.version
        return receipts

    async def _train_one_batch(self, *, push: bool = True) -> int:
        """Lease, train, commit, push, report, checkpoint; returns the number of groups."""
        began = time.monotonic()
        lease = await self._lease(again=not push)
        if lease is not None and push:
            lease = await self._top_up(lease)
        if lease is None:  # a stop was asked for
            return 0
        leased = time.monotonic()
        result = await self._train(lease)
        trained = time.monotonic()
        receipts = await self._adopt(result, push=push)
        ended = time.monotonic()
        self.credits.consume()
        self.step += 1
        report = StepReport(
            result=result,
            receipts=tuple(receipts),
            in_flight=len(self.credits.in_flight),
            truncated_rate=_truncated_rate(lease.groups),
            seconds_generation=_mean_seconds(lease.groups),
            rollouter_idle_ratio=self._idle.take() / max(ended - began, 1e-9),
            seconds_wait=leased - began,
            seconds_train=trained - leased,
            seconds_push=ended - trained,
            seconds_total=ended - began,
            resampled_groups=len(lease.groups) - self.credits.groups_per_step,
            sampled_tokens=_sampled_tokens(lease.groups),
        )
        self.observer.on_step(report)
        if self.step % self.plan.checkpoint_every == 0:
            await self._checkpoint()
        return len(lease.groups)

    async def _lease(self, *, again: bool = False) -> Lease | None:
        """Wait for a batch that leaves nothing behind which would be too old for the next.

        `again` lends one that was trained on before as it was, topped up or not.
        """
        self.activity.begin(WAITING)
        count = self.credits.groups_per_step
        if not await self._until(partial(self.credits.batch_ready, self.version), count):
            return None
        starts = tuple(self.credits.in_flight.values())
        oldest = self.credits.min_version(self.version)
        count += 0 if again else self.credits.excess
        lease = self._lent(await self.store.lease(count, oldest, starts, extended=again))
        self.credits.lease(len(lease.groups))
        return lease

    async def _top_up(self, lease: Lease) -> Lease | None:
        """Add others to a batch in place of groups without a signal; None when stopped."""
        count = self.credits.groups_per_step
        while self.resampling and (more := self.resampling.missing(lease.groups, count)) > 0:
            self.credits.replace(more)
            self._start_groups()
            if not await self._until(partial(self.credits.batch_ready, self.version, more), more):
                return None
            starts = tuple(self.credits.in_flight.values())
            oldest = self.credits.min_version(self.version)
            lease = self._lent(await self.store.extend(lease.lease_id, more, oldest, starts))
            self.credits.lease(more)
        return lease

    def _lent(self, lease: Lease | None) -> Lease:
        if lease is None:
            raise WorkFailed(
                f"the store holds {self.credits.stored} untrained groups, but lent none for step "
                f"{self.step + 1} with weights of version "
                f"{self.credits.min_version(self.version)} or newer"
            )
        return lease

    async def _until(self, ready: Callable[[], bool], groups: int) -> bool:
        """Wait until so many `groups` may be leased; False when a stop was asked for."""
        waiting = asyncio.ensure_future(self._ready(ready))
        try:
            await wait_in_time([waiting], self.plan.deadlines.batch)
            if not waiting.done() and not ready():
                raise self._too_late(groups)
            return not waiting.done() or waiting.result()
        finally:
            waiting.cancel()

    async def _ready(self, ready: Callable[[], bool]) -> bool:
        """Look again whenever a group ends; False when a stop was asked for."""
        while not ready():
            self._raise_failure()
            if self._stopping:
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    async def _train(self, lease: Lease) -> StepResult:
        self.activity.begin("training")
        deadline = self.plan.deadlines.step
        step = self.learner.train_step(lease.groups)
        result = await in_time(step, deadline, f"optimizer step {self.step + 1}")
        await self.store.commit(lease.lease_id)
        return result

    async def _adopt(self, result: StepResult, *, push: bool) -> list[WeightReceipt]:
        """Let the samplers follow the learner, unless its weights did not change."""
        if push and result.weight_version != self.version:
            return await self.publish()
        self.version = result.weight_version
        return []

    def _start_groups(self) -> None:
        """Start a group for each free credit."""
        for _ in range(self.credits.free):
            number = self.begun.next_number(self.todo)
            name = group_id(number)
            begun = self.begun.take(name, self.version)
            self.credits.start(name, oldest_version(begun, self.version))
            rollout = asyncio.create_task(self._roll_out(number, name, begun), name=name)
            rollout.add_done_callback(self._on_rollout_end)
            self._rollouts[name] = rollout
        self._idle.set(idle=not self._rollouts)

    async def _roll_out(self, number: int, name: str, begun: PartialGroup | None) -> None:
        episodes = self.samplers.roll_out(self.order.task(number), name, begun)
        await in_time(episodes, self.plan.deadlines.group, f"group {name}")

    def _on_rollout_end(self, rollout: asyncio.Task[None]) -> None:
        if not rollout.cancelled() and rollout.exception() is None:
            del self._rollouts[rollout.get_name()]
            self.credits.arrive(rollout.get_name())
            self._idle.set(idle=not self._rollouts)
        self._changed.set()

    def _raise_failure(self) -> None:
        """Raise what ended a group for good, if anything did."""
        for rollout in self._rollouts.values():
            if rollout.done() and not rollout.cancelled():
                rollout.result()

    def _too_late(self, groups: int) -> WorkFailed:
        slow = ", ".join(sorted(self.credits.in_flight)[:5]) or "none in flight"
        return WorkFailed(
            f"step {self.step + 1} waited {self.plan.deadlines.batch:.0f} s for {groups} groups "
            f"and has {self.credits.stored}; still running: {slow} (deadlines.batch) "
            f"{self.explain()}".rstrip()
        )

    async def _checkpoint(self) -> None:
        """Save the learner with the place in the store that its weights have seen."""
        self.activity.begin("writing a checkpoint")
        began = time.monotonic()
        position = Position(
            step=self.step,
            weight_version=self.version,
            store_cursor=await self.store.cursor(),
        )
        saving = self.checkpoints.save(self.learner, position)
        deadline = self.plan.deadlines.checkpoint
        await in_time(saving, deadline, f"checkpoint of step {self.step}")
        self._saved_step = self.step
        await self._save_in_flight()
        await self.store.forget_before(self.checkpoints.oldest_cursor())
        self.observer.on_checkpoint(self.step, time.monotonic() - began)

    async def _save_in_flight(self) -> None:
        """Save the turns so far of all groups in flight: a resumed run goes on with them."""
        deadline = self.plan.deadlines.checkpoint
        sampled = await in_time(self.samplers.in_flight(), deadline, "turns of groups in flight")
        mine = [group for group in sampled if group.group_id in self.credits.in_flight]
        await self.store.save_in_flight([*mine, *self.begun.waiting])

    async def _cancel_rollouts(self) -> None:
        for rollout in self._rollouts.values():
            rollout.cancel()
        await asyncio.gather(*self._rollouts.values(), return_exceptions=True)
        self._rollouts.clear()


class IdleClock:
    """Adds up the seconds in which nothing was being sampled."""

    def __init__(self) -> None:
        self._since: float | None = time.monotonic()
        self._sum = 0.0

    def set(self, *, idle: bool) -> None:
        """Tell whether nothing is being sampled from now on."""
        now = time.monotonic()
        if self._since is not None:
            self._sum += now - self._since
        self._since = now if idle else None

    def take(self) -> float:
        """The sum so far; it starts again at 0."""
        self.set(idle=self._since is not None)
        total, self._sum = self._sum, 0.0
        return total


def _truncated_rate(groups: Sequence[TrajectoryGroup]) -> float:
    episodes = [t for group in groups for t in group.trajectories]
    return sum(t.status is TrajectoryStatus.TRUNCATED for t in episodes) / max(len(episodes), 1)


def _mean_seconds(groups: Sequence[TrajectoryGroup]) -> float:
    episodes = [t for group in groups for t in group.trajectories]
    return sum(t.seconds for t in episodes) / max(len(episodes), 1)


def _sampled_tokens(groups: Sequence[TrajectoryGroup]) -> int:
    turns = (turn for group in groups for t in group.trajectories for turn in t.turns)
    return sum(len(turn.action_token_ids) for turn in turns)

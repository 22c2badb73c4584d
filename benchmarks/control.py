"""Controller, store and learner's input driven by simulated samplers: trajectories/s, and memory.

256 samplers without a model play recorded episodes eight times as fast as recorded.
Their groups go through the real controller (credits, leases, commits, pushes, checkpoints) and the
real store (encoded, checked, sealed with fsync, memory-mapped, decoded) into what a learner does
before its first tensor: advantages and samples of every token. The optimizer is left out. All of
it runs in one process, the learner's input on a thread of its own.

Memory is flat when the process is no larger in the last quarter of the time than in the second.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from _report import arguments, print_report, ratio

from redline.actors.replay_actor import ReplayActor
from redline.cluster.config import DeadlineSettings, RunConfig
from redline.cluster.load import load_config
from redline.cluster.loop.checkpoints import Checkpoints
from redline.cluster.loop.controller import Controller, Plan
from redline.cluster.loop.credits import Credits
from redline.cluster.loop.records import Position, StepReport
from redline.cluster.loop.task_order import TaskOrder
from redline.cluster.published import PublishedWeights
from redline.cluster.simulating import start_simulated
from redline.dsl.tasks import RepairTask
from redline.learner.samples import make_samples
from redline.learner.settings import LossSettings
from redline.replay.cursor import Cursor
from redline.replay.records import (
    DropReason,
    PartialGroup,
    Probe,
    StepResult,
    TrajectoryGroup,
    WeightUpdate,
)
from redline.replay.store_records import Lease

SAMPLERS = 256
BAR = 1_000.0  # trajectories per second
MEMORY_BAR = 0.9  # size in the second quarter of the time, of that in the last
OVERRIDES = [
    f"rollout.samplers={SAMPLERS}",
    "rollout.simulation.source=builtin",
    "rollout.simulation.speed=8",
    "learner.groups_per_step=64",
    "learner.loss.no_signal=keep",
    "max_staleness=7",
    "replay.groups_per_segment=64",
    "checkpoint_every=20",
    "eval.tasks=0",
]


class LocalStore:
    """The replay actor, called without Ray."""

    def __init__(self, actor: ReplayActor) -> None:
        self.actor = actor

    async def lease(
        self, count: int, min_version: int, in_flight: Sequence[int], *, extended: bool = False
    ) -> Lease | None:
        """Take groups that are there already."""
        return await self.actor.lease(
            count, min_version=min_version, in_flight=in_flight, extended=extended
        )

    async def extend(
        self, lease_id: str, count: int, min_version: int, in_flight: Sequence[int]
    ) -> Lease | None:
        """Take more groups under the same lease."""
        return await self.actor.extend(
            lease_id, count, min_version=min_version, in_flight=in_flight
        )

    async def commit(self, lease_id: str) -> None:
        """Record that a lease was trained on."""
        await self.actor.commit(lease_id)

    async def cursor(self) -> Cursor:
        """What is committed and dropped."""
        return await self.actor.cursor()

    async def save_in_flight(self, groups: Sequence[PartialGroup]) -> None:
        """Keep the turns so far of groups in flight."""
        await self.actor.save_in_flight(groups)

    async def waiting_versions(self) -> Sequence[int]:
        """Oldest weight version of every group that waits."""
        return await self.actor.waiting_versions()

    async def discard(self, group: TrajectoryGroup, reason: DropReason) -> bool:
        """Store a group that nobody will train on."""
        return await self.actor.discard(group, reason)

    async def forget_before(self, oldest: Cursor | None) -> None:
        """Delete trained groups."""
        await self.actor.compact(keep_committed=1024, before=oldest)


class InputLearner:
    """Prepares every batch as a learner does, and learns nothing."""

    def __init__(self, loss: LossSettings, max_staleness: int) -> None:
        self.loss = loss
        self.max_staleness = max_staleness
        self.version = 0
        self.trajectories = 0
        self.tokens = 0

    async def train_step(self, groups: Sequence[TrajectoryGroup]) -> StepResult:
        """Samples of a batch; every one of its tokens must be young enough."""
        return await asyncio.to_thread(self._prepare, groups)

    def _prepare(self, groups: Sequence[TrajectoryGroup]) -> StepResult:
        batch = make_samples(groups, self.loss, max_tokens=1_000_000)
        stale = self.version - min(group.oldest_version for group in groups)
        if stale > self.max_staleness:
            raise AssertionError(f"a token is {stale} versions old, allowed {self.max_staleness}")
        tokens = sum(len(sample.token_ids) for sample in batch.samples)
        self.version += 1
        self.trajectories += sum(len(group.trajectories) for group in groups)
        self.tokens += tokens
        return _result(self.version, groups, tokens, stale)

    async def weight_update(self) -> PublishedWeights:
        """A version without weights."""
        probe = Probe(token_ids=np.zeros(2, np.int32), logprobs=np.zeros(1, np.float32))
        update = WeightUpdate(
            version=self.version,
            transport="object_store",
            manifest=(),
            buckets=(),
            adapter=(),
            probe=probe,
        )
        return PublishedWeights(update=update)

    async def save_checkpoint(self, folder: Path) -> None:
        """Nothing to save."""


class Watch:
    """Memory of this process, sampled once a step, and the seconds of checkpoints."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.memory: list[tuple[float, float]] = []
        self.waited = 0.0
        self.checkpoints = 0

    def on_step(self, report: StepReport) -> None:
        """Note the size, MiB."""
        self.memory.append((time.monotonic(), self._process.memory_info().rss / 2**20))
        self.waited += report.seconds_wait

    def on_checkpoint(self, step: int, seconds: float) -> None:
        """Count it."""
        self.checkpoints += 1

    def quarter(self, number: int) -> float:
        """Median size in a quarter of the time, MiB; `number` from 0."""
        begin, end = self.memory[0][0], self.memory[-1][0]
        low = begin + (end - begin) * number / 4
        high = begin + (end - begin) * (number + 1) / 4
        return statistics.median(size for at, size in self.memory if low <= at <= high)


def _result(version: int, groups: Sequence[TrajectoryGroup], tokens: int, stale: int) -> StepResult:
    return StepResult(
        step=version,
        weight_version=version,
        groups=len(groups),
        trajectories=sum(len(group.trajectories) for group in groups),
        tokens=tokens,
        action_tokens=0,
        reward_mean=0.0,
        solve_rate=0.0,
        num_turns=0.0,
        pg_loss=0.0,
        kl=0.0,
        entropy=0.0,
        clipfrac=0.0,
        mismatch_kl=0.0,
        grad_norm=0.0,
        learning_rate=0.0,
        staleness_mean=float(stale),
        staleness_max=stale,
        dropped=(),
        seconds_lease=0.0,
        seconds_train=0.0,
        skipped=False,
    )


async def drive(
    config: RunConfig, store: ReplayActor, folder: Path, learner: InputLearner, seconds: float
) -> Watch:
    """Run the controller for so many seconds; returns what was seen."""
    watch = Watch()
    tasks = [
        RepairTask(task_id=f"task-{n}", prompt="", broken="x = 1", tests=("assert x",))
        for n in range(1_000)
    ]
    order = TaskOrder(tasks, seed=0)
    samplers = await start_simulated(config, store.append)
    controller = Controller(
        plan=Plan(
            steps=10**9,
            checkpoint_every=config.checkpoint_every,
            deadlines=DeadlineSettings(),
            ends_at=time.monotonic() + seconds,
        ),
        samplers=samplers,
        store=LocalStore(store),
        learner=learner,
        observer=watch,
        checkpoints=Checkpoints(folder / "checkpoints", keep=2),
        credits=Credits(
            max_staleness=config.max_staleness, groups_per_step=config.learner.groups_per_step
        ),
        order=order,
        todo=order.numbers(frozenset()),
        position=Position(),
    )
    await controller.publish()
    await controller.run()
    for fleet in samplers.fleets:
        await fleet.close()
    return watch


def main() -> int:
    """Run and report."""
    options = arguments(__doc__ or "")
    seconds = 20.0 if options.quick else 600.0
    config = load_config("demo", OVERRIDES)
    learner = InputLearner(config.learner.loss, config.max_staleness)
    cpu = psutil.Process().cpu_times()
    with tempfile.TemporaryDirectory(prefix="redline-control-") as folder:
        store = ReplayActor(Path(folder) / "replay", config.replay)
        watch = asyncio.run(drive(config, store, Path(folder), learner, seconds))
        stats = asyncio.run(store.stats())
        asyncio.run(store.close())
    used = psutil.Process().cpu_times()
    took = watch.memory[-1][0] - watch.memory[0][0]
    batch = config.learner.groups_per_step * config.rollout.group_size
    rate = (learner.trajectories - batch) / took  # the first batch ends the start
    early, late = watch.quarter(1), watch.quarter(3)
    figures = {
        "samplers": SAMPLERS,
        "seconds": took,
        "trajectories": learner.trajectories,
        "trajectories_per_s": rate,
        "tokens_per_s": learner.tokens / took,
        "steps": learner.version,
        "checkpoints": watch.checkpoints,
        "dropped_groups": stats.dropped_groups,
        "learner_waited_share": watch.waited / took,
        "cpu_cores": (used.user + used.system - cpu.user - cpu.system) / took,
        "memory_early_mib": early,
        "memory_late_mib": late,
    }
    ratios = {
        "throughput": ratio(rate / BAR, 1.0, f"{BAR:,.0f} trajectories/s"),
        "memory_flat": ratio(early / late, MEMORY_BAR, "size in the last quarter of the time"),
    }
    return print_report("control", figures, ratios, ("pyarrow", "numpy"), as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())

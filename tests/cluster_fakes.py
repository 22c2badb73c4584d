"""Plain objects behind the controller's protocols, with delays drawn from a seed."""

import asyncio
import dataclasses
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from redline.cluster.loop.records import StepReport
from redline.cluster.published import PublishedWeights
from redline.dsl.tasks import RepairTask
from redline.replay.records import (
    EpisodeSoFar,
    PartialGroup,
    Probe,
    StepResult,
    Trajectory,
    TrajectoryGroup,
    TrajectoryStatus,
    Turn,
    WeightReceipt,
    WeightUpdate,
)
from redline.replay.store import ReplayStore


def make_tasks(count):
    return [
        RepairTask(task_id=f"t{n}", prompt="p", broken="x = 1", tests=("assert x",))
        for n in range(count)
    ]


def make_turn(version):
    one = np.ones(1, dtype=np.int32)
    return Turn(
        state_token_ids=one,
        action_token_ids=one,
        rollout_logprobs=np.zeros(1, dtype=np.float32),
        weight_versions=np.array([version], dtype=np.int32),
        action_text="EXIT",
        command="EXIT",
        error=None,
        program="x = 1",
        feedback="",
        verdict=None,
        reward=0.0,
    )


def make_group(group_id, task_id, versions):
    trajectory = Trajectory(
        trajectory_id=f"{group_id}/0",
        group_id=group_id,
        sample_index=0,
        task_id=task_id,
        initial_program="x = 1",
        turns=tuple(make_turn(version) for version in versions),
        status=TrajectoryStatus.EXITED,
        solved=False,
        worker="fake",
        seconds=0.1,
    )
    return TrajectoryGroup(group_id=group_id, task_id=task_id, trajectories=(trajectory,))


def make_partial(group_id, task_id, versions):
    """One episode that has a turn of each version and waits for an action."""
    (trajectory,) = make_group(group_id, task_id, versions).trajectories
    running = EpisodeSoFar(
        trajectory=dataclasses.replace(trajectory, status=TrajectoryStatus.ABORTED),
        next_state=np.full(3, 7, dtype=np.int32),
    )
    return PartialGroup(group_id=group_id, task_id=task_id, ended=(), running=(running,))


def make_result(step, version, groups, staleness):
    return StepResult(
        step=step,
        weight_version=version,
        groups=len(groups),
        trajectories=len(groups),
        tokens=10,
        action_tokens=5,
        reward_mean=0.1,
        solve_rate=0.5,
        num_turns=2.0,
        pg_loss=0.0,
        kl=0.0,
        entropy=0.0,
        clipfrac=0.0,
        mismatch_kl=0.0,
        grad_norm=1.0,
        learning_rate=1e-4,
        staleness_mean=float(np.mean(staleness)),
        staleness_max=max(staleness),
        dropped=(),
        seconds_lease=0.0,
        seconds_train=0.0,
        skipped=False,
    )


@dataclass
class FakeStore:
    """The real store, called as an actor would be."""

    store: ReplayStore

    async def lease(self, count, min_version, in_flight, *, extended=False):
        return self.store.lease(
            count, min_version=min_version, in_flight=in_flight, extended=extended
        )

    async def extend(self, lease_id, count, min_version, in_flight):
        return self.store.extend(lease_id, count, min_version=min_version, in_flight=in_flight)

    async def commit(self, lease_id):
        self.store.commit(lease_id)

    async def cursor(self):
        return self.store.cursor()

    async def save_in_flight(self, groups):
        self.store.save_in_flight(groups)

    async def waiting_versions(self):
        return self.store.waiting_versions()

    async def discard(self, group, reason):
        return self.store.discard(group, reason)

    async def forget_before(self, oldest):
        self.store.compact(keep_committed=0, before=oldest)


@dataclass
class FakeLearner:
    """Counts what it was given; refuses tokens that are too old."""

    max_staleness: int
    version: int = 0
    steps: int = 0
    trained: list[str] = field(default_factory=list)
    batches: list[list[str]] = field(default_factory=list)
    seconds: float = 0.0

    async def train_step(self, groups):
        await asyncio.sleep(self.seconds)
        staleness = [self.version - group.oldest_version for group in groups]
        assert max(staleness) <= self.max_staleness, "a token was too old"
        self.batches.append([group.group_id for group in groups])
        self.trained += self.batches[-1]
        self.version += 1
        self.steps += 1
        return make_result(self.steps, self.version, groups, staleness)

    async def weight_update(self):
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

    async def save_checkpoint(self, folder):
        (Path(folder) / "learner.txt").write_text(f"{self.version} {self.steps}")

    def load(self, folder):
        version, steps = (Path(folder) / "learner.txt").read_text().split()
        self.version, self.steps = int(version), int(steps)


@dataclass
class FakeSamplers:
    """Episodes of random length that see weights change while they run."""

    store: ReplayStore
    seed: int
    version: int = -1
    slowest: float = 0.01
    running: int = 0
    most_running: int = 0
    started: list[str] = field(default_factory=list)
    credit_limit: int | None = None
    fail_on: str | None = None
    live: dict[str, tuple[str, list[int]]] = field(default_factory=dict)
    went_on: dict[str, list[int]] = field(default_factory=dict)
    """Versions of the turns that groups of an earlier attempt came with."""

    async def roll_out(self, task, group_id, begun=None):
        rng = random.Random(f"{self.seed}/{group_id}")
        self.started.append(group_id)
        versions = []
        self.live[group_id] = (task.task_id, versions)
        if begun is not None:
            versions += [int(t.weight_versions[0]) for t in begun.running[0].trajectory.turns]
            self.went_on[group_id] = list(versions)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            for _ in range(rng.randint(1, 3) - len(versions)):
                versions.append(self.version)
                await asyncio.sleep(rng.random() * self.slowest)
            if group_id == self.fail_on:
                raise RuntimeError(f"{group_id} broke")
            assert self.store.append(make_group(group_id, task.task_id, versions))
        finally:
            del self.live[group_id]
            self.running -= 1

    async def in_flight(self):
        return [make_partial(name, *live) for name, live in self.live.items() if live[1]]

    async def push(self, update):
        await asyncio.sleep(self.slowest / 4)
        self.version = update.version
        return [
            WeightReceipt(
                worker="fake", version=update.version, max_abs_dlogp=1e-6, pause_ms=1, total_ms=2
            )
        ]


def make_report(step=1, **changes):
    """What a step of one group told."""
    group = make_group("g", "t", [0])
    receipt = WeightReceipt(worker="fake", version=step, max_abs_dlogp=1e-6, pause_ms=1, total_ms=2)
    values = {
        "result": make_result(step, step, [group], [0]),
        "receipts": (receipt,),
        "in_flight": 3,
        "truncated_rate": 0.0,
        "seconds_generation": 0.5,
        "rollouter_idle_ratio": 0.1,
        "seconds_wait": 0.2,
        "seconds_train": 1.0,
        "seconds_push": 0.1,
        "seconds_total": 1.3,
    }
    return StepReport(**{**values, **changes})


@dataclass
class FakeObserver:
    reports: list[StepReport] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)

    def on_step(self, report):
        self.reports.append(report)

    def on_checkpoint(self, step, seconds):
        self.checkpoints.append(step)


class Bytes:
    """One token for each byte."""

    bos_token_id = None
    eos_token_id = 256
    all_special_ids = (256,)

    def __len__(self):
        return 257

    def encode(self, text, *, add_special_tokens):
        return list(text.encode())

    def decode(self, ids, *, skip_special_tokens):
        return bytes(i for i in ids if i < 256).decode(errors="replace")

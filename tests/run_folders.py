"""Run directories made without a run: curves that learn, and episodes that real commands made."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

import redline.cluster
from redline.cluster.config import RunConfig
from redline.cluster.load import to_yaml
from redline.cluster.status_file import RunState, RunStatus, Sample, WorkerState, WorkerStatus
from redline.dsl.diff import diff
from redline.dsl.editor import apply
from redline.dsl.printer import print_command
from redline.replay.decode import batches_to_groups
from redline.replay.encode import group_to_batch
from redline.replay.records import (
    DropReason,
    Trajectory,
    TrajectoryGroup,
    TrajectoryStatus,
    Turn,
)
from redline.replay.schema import SCHEMA
from redline.replay.store import ReplayStore
from redline.sandbox.records import TestResult, TestStatus, Verdict

GROUP_SIZE = 8
GROUPS_PER_STEP = 4
VERSION_GROUPS = 100
PAIRS = (
    (
        "def count(values):\n    total = 0\n    for v in values:\n        if v < 3:\n"
        "            best += 1\n    return best",
        "def count(values):\n    best = 0\n    for v in values:\n        if v > 3:\n"
        "            best += 1\n    return best",
    ),
    (
        "def longest(words):\n    best = ''\n    for word in words:\n"
        "        if len(word) < len(best):\n            best = words\n    return best",
        "def longest(words):\n    best = ''\n    for word in words:\n"
        "        if len(word) > len(best):\n            best = word\n    return best",
    ),
    (
        "def totals(pairs):\n    found = {}\n    for key, n in pairs:\n"
        "        found[key] = found.get(key, 1) + n\n    return found.keys()",
        "def totals(pairs):\n    found = {}\n    for key, n in pairs:\n"
        "        found[key] = found.get(key, 0) + n\n    return found",
    ),
    (
        "def flatten(rows):\n    flat = []\n    for row in rows:\n        flat.append(row)\n"
        "    return flatten",
        "def flatten(rows):\n    flat = []\n    for row in rows:\n        flat.extend(row)\n"
        "    return flat",
    ),
)
NAMES = ("count", "longest", "totals", "flatten")


@cache
def _tokenizer() -> Tokenizer:
    folder = Path(redline.cluster.__file__).parent / "demo_policy"
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@cache
def _ids(text: str) -> tuple[int, ...]:
    return tuple(_tokenizer().encode(text).ids)


def _turn(command: str, program: str, passing: int, version: int, rng, reward: float) -> Turn:
    ids = np.array(_ids(command + "\n"), np.int32)
    versions = np.full(len(ids), version, np.int32)
    versions[len(ids) // 2 :] += int(rng.random() < 0.2)
    feedback = "" if passing == 3 else "check([1, 5, 7]) gave 0, expected 2"
    tests = tuple(
        TestResult(
            status=TestStatus.PASS if i < passing else TestStatus.FAIL,
            detail="" if i < passing else feedback, detail_blind="", cpu_ms=0.2,
        )
        for i in range(3)
    )  # fmt: skip
    return Turn(
        state_token_ids=np.array(_ids(program + "\n***\n" + feedback), np.int32),
        action_token_ids=ids,
        rollout_logprobs=-rng.exponential(0.15, len(ids)).astype(np.float32),
        weight_versions=versions,
        action_text=command, command=command, error=None, program=program, feedback=feedback,
        verdict=None if command == "EXIT" else Verdict(
            tests=tests, tier="namespaces", wall_ms=float(rng.uniform(2, 9))
        ),
        reward=reward,
    )  # fmt: skip


def make_trajectory(group_id: str, index: int, kind: int, version: int, rng) -> Trajectory:
    """An episode: sample `index` of a group makes index % 4 wrong edits, odd ones never exit."""
    broken, fixed = PAIRS[kind]
    program, turns = broken, []
    for i in range(index % 4):
        line = program.split("\n")[1 + i % 2]
        turns.append(_turn(f"ADDL 2 >>>{line}", program := _insert(program, line), 0, version, rng,
                           -0.1))  # fmt: skip
    commands = diff(program, fixed)
    for i, command in enumerate(commands[: len(commands) - index % 2]):
        program = str(apply(program, command))
        done = program == fixed
        text = print_command(command)
        reward = 1.0 if text == "EXIT" else -0.1
        turns.append(_turn(text, program, 3 if done else min(i, 2), version, rng, reward))
    solved = index % 2 == 0
    return Trajectory(
        trajectory_id=f"{group_id}/{index}", group_id=group_id, sample_index=index,
        task_id="t", initial_program=broken, turns=tuple(turns),
        status=TrajectoryStatus.SOLVED if solved else TrajectoryStatus.TURN_LIMIT, solved=solved,
        worker=f"sampler-{kind % 2}", seconds=float(rng.uniform(0.5, 4.0)),
    )  # fmt: skip


def _insert(program: str, line: str) -> str:
    lines = program.split("\n")
    return "\n".join([lines[0], line, *lines[1:]])


def make_groups(count: int, first: int = 0) -> Iterator[TrajectoryGroup]:
    """Groups `first` to `first + count`; see `make_batches`."""
    for batch in make_batches(count, first):
        yield from batches_to_groups([batch])


def make_batches(count: int, first: int = 0) -> Iterator[pa.RecordBatch]:
    """Groups `first` to `first + count` as the store keeps them, made from few patterns.

    The weight version grows with every VERSION_GROUPS groups.
    """
    for number in range(first, first + count):
        pattern = _pattern(number % len(PAIRS), number // VERSION_GROUPS)
        name = f"g{number:08d}"
        replaced = {
            "group_id": [name] * GROUP_SIZE,
            "trajectory_id": [f"{name}/{i}" for i in range(GROUP_SIZE)],
            "task_id": [f"train-{NAMES[number % len(PAIRS)]}-{number:06d}"] * GROUP_SIZE,
        }
        columns = [
            pa.array(replaced[field.name], field.type) if field.name in replaced else column
            for field, column in zip(SCHEMA, pattern.columns, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


@cache
def _pattern(kind: int, version: int) -> pa.RecordBatch:
    rng = np.random.default_rng(version)
    members = tuple(make_trajectory("g", i, kind, version, rng) for i in range(GROUP_SIZE))
    return group_to_batch(TrajectoryGroup(group_id="g", task_id="t", trajectories=members))


def add_groups(store: Path, count: int, first: int = 0, per_segment: int = 4) -> None:
    """Append groups to a store, and commit them four at a time as steps do."""
    with ReplayStore(store, groups_per_segment=per_segment) as opened:
        for number, batch in enumerate(make_batches(count, first), 1):
            opened.append_batch(batch)
            if number % per_segment == 0:
                while lease := opened.lease(GROUPS_PER_STEP):
                    opened.commit(lease.lease_id)


def add_hostile_group(store: Path, text: str) -> None:
    """Append a group `evil` of one trajectory that says `text` wherever a model may."""
    one = make_trajectory("evil", 0, 0, 0, np.random.default_rng(0))
    turn = replace(one.turns[0], program=text, feedback=text, action_text=text, command=text)
    one = replace(one, task_id=text, worker=text, turns=(turn,))
    with ReplayStore(store, groups_per_segment=1) as opened:
        opened.append(TrajectoryGroup(group_id="evil", task_id=text, trajectories=(one,)))


def step_line(step: int) -> str:
    """One line of steps.jsonl, of a run that learns."""
    rng = np.random.default_rng(step)
    rate = 0.1 + 0.5 * (1 - math.exp(-step / 60)) + rng.normal(0, 0.03)
    record = {
        "step": step, "tokens": 4000, "seconds": 1.6, "trajectories": 32,
        "rollout/reward_mean": 2 * rate - 1, "rollout/solve_rate": rate,
        "rollout/num_turns": 3 - rate, "rollouter/idle_ratio": 0.04 + 0.02 * rng.random(),
        "trainer/idle_ratio": 0.3 + 0.1 * rng.random(),
        "perf/throughput": 2400 + 200 * rng.random(),
        "perf/trajectories_per_s": 19 + 2 * rng.random(),
        "staleness/mean": 1.2 + 0.3 * rng.random(), "staleness/max": 2.0,
        "timing/generation": 2.4 + 0.3 * rng.random(),
        "timing/train_step": 0.9 + 0.1 * rng.random(), "timing/weight_sync": 0.1,
        "timing/wait_for_batch": 0.5 + 0.3 * rng.random(), "learner/pg_loss": 0.08 * rng.random(),
        "learner/entropy": 0.4 * math.exp(-step / 200), "learner/grad_norm": 0.5 + rng.random(),
        "learner/clipfrac": 0.01 * rng.random(), "learner/kl": 0.0,
        "learner/mismatch_kl": 0.001 * rng.random(), "learner/masked_fraction": 0.0,
        "learner/skipped_steps": 0.0, "weights/pause_ms": 45 + 10 * rng.random(),
        **{f"dropped/{reason}": 0.0 for reason in DropReason},
        "dropped/no_signal": float(rng.integers(20, 60)),
    }  # fmt: skip
    return json.dumps(record) + "\n"


def make_status() -> RunStatus:
    """A status file of a run that trains; dated ahead, so that it never grows old."""
    workers = [
        WorkerStatus(name=f"sampler-{i}", role="sampler", state=WorkerState.SERVING,
                     node=f"10.0.0.{i + 2}", version=120 - i, numbers={"running_episodes": 96.0})
        for i in range(2)
    ]  # fmt: skip
    workers += [
        WorkerStatus(name="sandbox-0", role="sandbox", state=WorkerState.SERVING, node="10.0.0.2"),
        WorkerStatus(name="sandbox-1", role="sandbox", state=WorkerState.SILENT, node="10.0.0.3",
                     problem="no answer for 12 s"),
        WorkerStatus(name="learner", role="learner", state=WorkerState.SERVING, node="10.0.0.2",
                     version=120),
    ]  # fmt: skip
    kills = {"cpu": 41.0, "wall": 3.0}
    return RunStatus(
        run="demo", state=RunState.TRAINING, pid=4711, host="head", attempt=1,
        started_at=time.time() - 600, written_at=time.time() + 86_400, steps=300, step=120,
        version=120, workers=workers,
        samples=[
            Sample(name="redline_sandbox_kills", labels={"reason": reason}, value=count)
            for reason, count in kills.items()
        ],
    )  # fmt: skip


def make_run(folder: Path, *, steps: int, groups: int = 0, per_segment: int = 4) -> Path:
    """The directory of a run that took `steps` steps."""
    (folder / "metrics").mkdir(parents=True)
    config = RunConfig(name=folder.name, model="demo_policy", steps=300)
    (folder / "config.yaml").write_text(to_yaml(config))
    lines = "".join(step_line(step) for step in range(1, steps + 1))
    (folder / "metrics" / "steps.jsonl").write_text(lines)
    if groups:
        add_groups(folder / "replay", groups, per_segment=per_segment)
    return folder

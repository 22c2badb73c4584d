"""Trajectory groups for the tests of this room: by hand, and at random from a seed."""

import dataclasses

import numpy as np

from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn
from redline.sandbox.records import TestResult, TestStatus, Verdict

PROGRAM = "def add(a, b):\n    total = a + b\n    return total"


def verdict(*statuses: TestStatus) -> Verdict:
    tests = tuple(
        TestResult(
            status=status,
            detail="" if status is TestStatus.PASS else f"add(1, {i}) gave 0, expected {i + 1}",
            detail_blind="" if status is TestStatus.PASS else f"add(1, {i}) gave 0",
            cpu_ms=0.25 * i,
        )
        for i, status in enumerate(statuses)
    )
    return Verdict(tests=tests, tier="namespaces", wall_ms=1.5)


def turn(*, tokens: int = 3, version: int = 0, reward: float = 0.0, seed: int = 0, **other) -> Turn:
    rng = np.random.default_rng(seed)
    values = {
        "state_token_ids": rng.integers(0, 500, 2 * tokens, dtype=np.int32),
        "action_token_ids": rng.integers(0, 500, tokens, dtype=np.int32),
        "rollout_logprobs": -rng.random(tokens, dtype=np.float32),
        "weight_versions": np.full(tokens, version, np.int32),
        "action_text": "REPL 2 >>>    total = a + b",
        "command": "REPL 2 >>>    total = a + b",
        "error": None,
        "program": PROGRAM,
        "feedback": "add(1, 0) gave 0, expected 1",
        "verdict": verdict(TestStatus.FAIL, TestStatus.PASS),
        "reward": reward,
    }
    return Turn(**(values | other))


def trajectory(
    group_id: str = "g0", index: int = 0, turns: tuple[Turn, ...] | None = None, **other
) -> Trajectory:
    values = {
        "trajectory_id": f"{group_id}/{index}",
        "group_id": group_id,
        "sample_index": index,
        "task_id": "task-1",
        "initial_program": "def add(a, b):\n    total = a - b\n    return total",
        "turns": (turn(), turn(reward=1.0, seed=1)) if turns is None else turns,
        "status": TrajectoryStatus.SOLVED,
        "solved": True,
        "worker": "sampler-0",
        "seconds": 0.75,
    }
    return Trajectory(**(values | other))


def group(
    group_id: str = "g0", *, size: int = 2, version: int = 0, tokens: int = 3
) -> TrajectoryGroup:
    """A small group whose tokens were all sampled by one weight version."""
    members = tuple(
        trajectory(group_id, i, (turn(version=version, seed=i, tokens=tokens),))
        for i in range(size)
    )
    return TrajectoryGroup(group_id=group_id, task_id="task-1", trajectories=members)


def assert_same(got: object, expected: object) -> None:
    """Equality of records, element by element: arrays by dtype and bits, NaN equal to NaN."""
    if isinstance(expected, np.ndarray):
        assert isinstance(got, np.ndarray)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    elif isinstance(expected, list | tuple):
        assert isinstance(got, list | tuple)
        assert len(got) == len(expected)
        for a, b in zip(got, expected, strict=True):
            assert_same(a, b)
    elif dataclasses.is_dataclass(expected):
        assert type(got) is type(expected)
        for field in dataclasses.fields(expected):
            assert_same(getattr(got, field.name), getattr(expected, field.name))
    else:
        assert type(got) is type(expected)
        assert got == expected

"""A tiny policy and hand-made trajectories for the learner's tests."""

import numpy as np
import pytest

from redline.learner.settings import TinyModelSettings
from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn

CORPUS = [
    "Write total that returns the sum of nums plus 3.\n1|def total(nums):\n2|    acc = 0\n"
    "3|    for n in nums:\n4|        acc += n\n5|    return acc + 3\n***\n"
    "total([1]) gave 3, expected 4\n### REPL 5 >>>    return acc + 3\n### EXIT\n"
] * 3
TINY = TinyModelSettings(vocab_size=360, hidden_size=32, intermediate_size=64, layers=2, heads=2)


@pytest.fixture(scope="session")
def tiny_policy(tmp_path_factory):
    from redline.learner.model import make_tiny

    return str(make_tiny(tmp_path_factory.mktemp("tiny"), TINY, CORPUS, seed=1))


def make_turn(*, reward=0.0, states=4, actions=3, version=0, logprob=-1.0, seed=0):
    rng = np.random.default_rng(seed)
    return Turn(
        state_token_ids=rng.integers(3, 300, states).astype(np.int32),
        action_token_ids=rng.integers(3, 300, actions).astype(np.int32),
        rollout_logprobs=np.full(actions, logprob, np.float32),
        weight_versions=np.full(actions, version, np.int32),
        action_text="EXIT",
        command="EXIT",
        error=None,
        program="pass",
        feedback="",
        verdict=None,
        reward=reward,
    )


def make_trajectory(turns, *, index=0, status=TrajectoryStatus.EXITED, group="g"):
    return Trajectory(
        trajectory_id=f"{group}/{index}",
        group_id=group,
        sample_index=index,
        task_id="task",
        initial_program="pass",
        turns=tuple(turns),
        status=status,
        solved=status is TrajectoryStatus.SOLVED,
        worker="w",
        seconds=0.1,
    )


def make_group(*turn_lists, statuses=None, group="g"):
    statuses = statuses or [TrajectoryStatus.EXITED] * len(turn_lists)
    return TrajectoryGroup(
        group_id=group,
        task_id="task",
        trajectories=tuple(
            make_trajectory(turns, index=i, status=status, group=group)
            for i, (turns, status) in enumerate(zip(turn_lists, statuses, strict=True))
        ),
    )


@pytest.fixture
def build():
    """The builders above, since tests import no helper modules."""

    class Build:
        turn = staticmethod(make_turn)
        trajectory = staticmethod(make_trajectory)
        group = staticmethod(make_group)

    return Build

"""Hand-made groups of trajectories for the learner's tests."""

import numpy as np

from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn

CONTEXT = np.arange(10, 18, dtype=np.int32)
"""Tokens of every state."""


def make_group(
    number,
    *,
    good=None,
    turns=(1, 2, 1, 2),
    length=6,
    lowest=3,
    logprob=-5.5,
    status=None,
    reward_each_turn=True,
):
    """A trajectory for each number of `turns`; actions are `length` tokens from `lowest` on.

    The first two are rewarded, on every turn or on the last; their actions begin with the token
    `good`. They are solved, unless all trajectories have another `status`.
    """
    rng = np.random.default_rng(number)
    trajectories = []
    for index, count in enumerate(turns):
        rewarded = index < 2
        taken = []
        for turn in range(1, count + 1):
            action = rng.integers(lowest, 250, length).astype(np.int32)
            action[0] = good if rewarded and good is not None else action[0]
            reward = float(rewarded and (reward_each_turn or turn == count))
            taken.append(_make_turn(action, logprob, reward))
        ended = TrajectoryStatus.SOLVED if rewarded else TrajectoryStatus.EXITED
        trajectories.append(
            Trajectory(
                trajectory_id=f"{number}/{index}",
                group_id=str(number),
                sample_index=index,
                task_id="t",
                initial_program="",
                turns=tuple(taken),
                status=status or ended,
                solved=rewarded,
                worker="w",
                seconds=0.0,
            )
        )
    return TrajectoryGroup(group_id=str(number), task_id="t", trajectories=tuple(trajectories))


def _make_turn(action, logprob, reward):
    return Turn(
        state_token_ids=CONTEXT,
        action_token_ids=action,
        rollout_logprobs=np.full(len(action), logprob, np.float32),
        weight_versions=np.zeros(len(action), np.int32),
        action_text="",
        command=None,
        error=None,
        program="",
        feedback="",
        verdict=None,
        reward=reward,
    )

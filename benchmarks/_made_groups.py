"""Groups of trajectories of random tokens, of the demo's lengths or longer."""

from dataclasses import dataclass

import numpy as np

from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLengths:
    """Tokens of the states of an episode."""

    first: int
    """Prompt and first state, which a group shares."""
    later: int


DEMO = StateLengths(first=95, later=65)
"""About 250 tokens a trajectory, 11 of them per action."""
LONG = StateLengths(first=640, later=160)
"""About 1,000 tokens a trajectory."""


def make_groups(count: int, lengths: StateLengths = DEMO) -> list[TrajectoryGroup]:
    """Groups of 8 trajectories of 1 to 5 turns."""
    rng = np.random.default_rng(0)
    return [_make_group(str(number), lengths, rng) for number in range(count)]


def _make_group(name: str, lengths: StateLengths, rng: np.random.Generator) -> TrajectoryGroup:
    first = _random_ids(lengths.first, rng)
    return TrajectoryGroup(
        group_id=name,
        task_id=name,
        trajectories=tuple(_make_trajectory(name, i, first, lengths, rng) for i in range(8)),
    )


def _make_trajectory(
    group: str, index: int, first: np.ndarray, lengths: StateLengths, rng: np.random.Generator
) -> Trajectory:
    states = [first, *(_random_ids(lengths.later, rng) for _ in range(int(rng.integers(0, 5))))]
    turns = tuple(_make_turn(state, rng) for state in states)
    return Trajectory(
        trajectory_id=f"{group}/{index}",
        group_id=group,
        sample_index=index,
        task_id=group,
        initial_program="",
        turns=turns,
        status=TrajectoryStatus.EXITED,
        solved=False,
        worker="",
        seconds=0.0,
    )


def _random_ids(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(3, 250, count).astype(np.int32)


def _make_turn(state: np.ndarray, rng: np.random.Generator) -> Turn:
    actions = int(rng.integers(6, 16))
    return Turn(
        state_token_ids=state,
        action_token_ids=_random_ids(actions, rng),
        rollout_logprobs=np.full(actions, -6.0, np.float32),
        weight_versions=np.zeros(actions, np.int32),
        action_text="",
        command=None,
        error=None,
        program="",
        feedback="",
        verdict=None,
        reward=float(rng.random()),
    )

"""What a group must fulfil before it is stored; every refusal names the trajectory and turn."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

from redline.replay.errors import InvalidTrajectoryError
from redline.replay.records import Trajectory, TrajectoryGroup, Turn


def check_group(group: TrajectoryGroup) -> None:
    """Raise `InvalidTrajectoryError` unless the group's ids fit together."""
    if not group.trajectories:
        raise InvalidTrajectoryError(
            f"group {group.group_id}: got no trajectories, expected at least 1"
        )
    seen: set[str] = set()
    for trajectory in group.trajectories:
        for name in ("group_id", "task_id"):
            got, expected = getattr(trajectory, name), getattr(group, name)
            if got != expected:
                raise InvalidTrajectoryError(
                    f"trajectory {trajectory.trajectory_id}: {name} is {got!r}, "
                    f"expected its group's {expected!r}"
                )
        if trajectory.trajectory_id in seen:
            raise InvalidTrajectoryError(
                f"trajectory {trajectory.trajectory_id} is twice in group {group.group_id}"
            )
        seen.add(trajectory.trajectory_id)


def check_turn_arrays(
    group: TrajectoryGroup,
    actions: NDArray[np.int32],
    logprobs: NDArray[np.int32],
    versions: NDArray[np.int32],
    rewards: NDArray[np.float64],
) -> None:
    """Raise unless every turn's action arrays have one length and its reward is finite.

    `actions`, `logprobs` and `versions` are (turns + 1,) offsets into the concatenated arrays of
    all turns of the group; `rewards` is (turns,).
    """
    for name, bounds in (("rollout_logprobs", logprobs), ("weight_versions", versions)):
        if not np.array_equal(actions, bounds):
            bad = int(np.flatnonzero(actions != bounds)[0]) - 1
            trajectory, turn = _locate(group.trajectories, bad)
            expected = len(trajectory.turns[turn].action_token_ids)
            got = len(getattr(trajectory.turns[turn], name))
            raise InvalidTrajectoryError(
                f"trajectory {trajectory.trajectory_id}, turn {turn}: {name} has {got} entries, "
                f"expected {expected}, one for each action token"
            )
    finite = np.isfinite(rewards)
    if not finite.all():
        bad = int(np.flatnonzero(~finite)[0])
        trajectory, turn = _locate(group.trajectories, bad)
        raise InvalidTrajectoryError(
            f"trajectory {trajectory.trajectory_id}, turn {turn}: reward is {rewards[bad]}, "
            "expected a finite number"
        )


def first_bad_turn(
    group: TrajectoryGroup, get: Callable[[Turn], NDArray], dtype: DTypeLike, name: str
) -> InvalidTrajectoryError:
    """The error for the first turn whose array `get` is not one-dimensional of `dtype`."""
    expected = f"a one-dimensional {np.dtype(dtype)} array"
    for trajectory in group.trajectories:
        for index, turn in enumerate(trajectory.turns):
            value = get(turn)
            if not isinstance(value, np.ndarray):
                got = type(value).__name__
            elif value.dtype != dtype or value.ndim != 1:
                got = f"a {value.ndim}-dimensional {value.dtype} array"
            else:
                continue
            return InvalidTrajectoryError(
                f"trajectory {trajectory.trajectory_id}, turn {index}: {name} is {got}, "
                f"expected {expected}"
            )
    raise AssertionError(f"group {group.group_id}: every {name} is {expected}")


def _locate(trajectories: Sequence[Trajectory], flat_index: int) -> tuple[Trajectory, int]:
    """Trajectory and turn index of the `flat_index`-th turn of the group."""
    for trajectory in trajectories:
        if flat_index < len(trajectory.turns):
            return trajectory, flat_index
        flat_index -= len(trajectory.turns)
    raise IndexError(f"turn {flat_index} lies behind the last trajectory")

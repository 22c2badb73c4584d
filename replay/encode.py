"""Records to Arrow: one record batch per group, built from whole numpy buffers.

Python loops over trajectories, turns and tests; tokens are only ever concatenated.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

from redline.replay import schema
from redline.replay.checks import check_group, check_turn_arrays, first_bad_turn
from redline.replay.errors import InvalidTrajectoryError
from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn
from redline.sandbox.records import TestResult, TestStatus, Verdict

_STATUS_CODE = {status: code for code, status in enumerate(TrajectoryStatus)}
_TEST_CODE = {status: code for code, status in enumerate(TestStatus)}


def groups_to_table(groups: Iterable[TrajectoryGroup]) -> pa.Table:
    """All groups as one table, a record batch (chunk) for each.

    Raises `InvalidTrajectoryError` naming the trajectory that cannot be stored.
    """
    return pa.Table.from_batches([group_to_batch(group) for group in groups], schema.SCHEMA)


def group_to_batch(group: TrajectoryGroup) -> pa.RecordBatch:
    """One group as a record batch of `schema.SCHEMA`, a row per trajectory.

    Raises `InvalidTrajectoryError` naming the trajectory that cannot be stored.
    """
    check_group(group)
    trajectories = group.trajectories
    turns = [turn for trajectory in trajectories for turn in trajectory.turns]
    turn_bounds = _bounds([len(trajectory.turns) for trajectory in trajectories])
    try:
        turn_array, derived = _turns(group, turns, turn_bounds)
        columns = [
            *_identity(trajectories),
            *derived,
            _list_array(turn_bounds, turn_array, schema.SCHEMA.field("turns").type),
        ]
    except UnicodeEncodeError as error:
        raise InvalidTrajectoryError(
            f"group {group.group_id}: a text holds {error.object[error.start : error.end]!r}, "
            "which UTF-8 cannot hold; replace lone surrogates before storing"
        ) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema.SCHEMA)


def _identity(trajectories: Sequence[Trajectory]) -> list[pa.Array]:
    """The columns that are copied from the trajectory itself, in the schema's order."""
    return [
        _text([t.group_id for t in trajectories]),
        _text([t.trajectory_id for t in trajectories]),
        pa.array([t.sample_index for t in trajectories], pa.int32()),
        _text([t.task_id for t in trajectories]),
        _text([t.initial_program for t in trajectories]),
        _enum([t.status for t in trajectories], _STATUS_CODE, schema.TRAJECTORY_STATUSES),
        pa.array([t.solved for t in trajectories], pa.bool_()),
        _text([t.worker for t in trajectories]),
        _doubles([t.seconds for t in trajectories]),
    ]


def _turns(
    group: TrajectoryGroup, turns: Sequence[Turn], turn_bounds: NDArray[np.int32]
) -> tuple[pa.StructArray, list[pa.Array]]:
    """The flat array of all turns, and the derived columns of the trajectories."""
    states = _Ragged(group, turns, lambda t: t.state_token_ids, np.int32, "state_token_ids")
    actions = _Ragged(group, turns, lambda t: t.action_token_ids, np.int32, "action_token_ids")
    logprobs = _Ragged(group, turns, lambda t: t.rollout_logprobs, np.float32, "rollout_logprobs")
    versions = _Ragged(group, turns, lambda t: t.weight_versions, np.int32, "weight_versions")
    rewards = np.array([turn.reward for turn in turns], np.float64)
    check_turn_arrays(group, actions.bounds, logprobs.bounds, versions.bounds, rewards)
    array = pa.StructArray.from_arrays(
        [
            states.array(schema.TOKENS),
            actions.array(schema.TOKENS),
            logprobs.array(schema.LOGPROBS),
            versions.array(schema.TOKENS),
            _text([turn.action_text for turn in turns]),
            _text([turn.command for turn in turns]),
            _text([turn.error for turn in turns]),
            _text([turn.program for turn in turns]),
            _text([turn.feedback for turn in turns]),
            _verdicts([turn.verdict for turn in turns]),
            pa.array(rewards),
        ],
        fields=list(schema.TURN),
    )
    tokens = (states.bounds + actions.bounds)[turn_bounds]
    version_bounds = versions.bounds[turn_bounds]
    derived = [
        pa.array(_per_row(np.add, rewards, turn_bounds, 0.0)),
        pa.array(np.diff(tokens).astype(np.int32)),
        pa.array(_per_row(np.minimum, versions.values, version_bounds, -1)),
        pa.array(_per_row(np.maximum, versions.values, version_bounds, -1)),
    ]
    return array, derived


class _Ragged:
    """Arrays of many turns back to back: `values[bounds[i] : bounds[i + 1]]` is turn i's."""

    __slots__ = ("bounds", "values")

    def __init__(
        self,
        group: TrajectoryGroup,
        turns: Sequence[Turn],
        get: Callable[[Turn], NDArray],
        dtype: DTypeLike,
        name: str,
    ) -> None:
        arrays = [get(turn) for turn in turns]
        try:
            self.values = np.concatenate(arrays) if arrays else np.empty(0, dtype)
        except ValueError as error:  # shapes that do not fit together
            raise first_bad_turn(group, get, dtype, name) from error
        if self.values.dtype != dtype or self.values.ndim != 1:
            raise first_bad_turn(group, get, dtype, name)
        self.bounds = _bounds([len(array) for array in arrays])

    def array(self, kind: pa.DataType) -> pa.ListArray:
        return _list_array(self.bounds, pa.array(self.values), kind)


def _verdicts(verdicts: Sequence[Verdict | None]) -> pa.StructArray:
    present = [verdict for verdict in verdicts if verdict is not None]
    tests = [test for verdict in present for test in verdict.tests]
    sizes = [0 if verdict is None else len(verdict.tests) for verdict in verdicts]
    return pa.StructArray.from_arrays(
        [
            _list_array(_bounds(sizes), _tests(tests), schema.VERDICT.field("tests").type),
            _text(["" if verdict is None else verdict.tier for verdict in verdicts]),
            _doubles([0.0 if verdict is None else verdict.wall_ms for verdict in verdicts]),
        ],
        fields=list(schema.VERDICT),
        mask=pa.array([verdict is None for verdict in verdicts], pa.bool_()),
    )


def _tests(tests: Sequence[TestResult]) -> pa.StructArray:
    return pa.StructArray.from_arrays(
        [
            _enum([test.status for test in tests], _TEST_CODE, schema.TEST_STATUSES),
            _text([test.detail for test in tests]),
            _text([test.detail_blind for test in tests]),
            _doubles([test.cpu_ms for test in tests]),
        ],
        fields=list(schema.TEST),
    )


def _bounds(lengths: Sequence[int]) -> NDArray[np.int32]:
    """Offsets of a ragged array: (n + 1,), the first one 0."""
    bounds = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(np.array(lengths, np.int32), out=bounds[1:])
    return bounds


def _list_array(bounds: NDArray[np.int32], values: pa.Array, kind: pa.DataType) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(bounds), values, type=kind)


def _text(values: list[str] | list[str | None]) -> pa.Array:
    return pa.array(values, pa.string())


def _doubles(values: list[float]) -> pa.Array:
    return pa.array(np.array(values, np.float64))


def _enum(values: Sequence[StrEnum], codes: dict, vocabulary: pa.Array) -> pa.DictionaryArray:
    indices = np.array([codes[value] for value in values], np.int8)
    return pa.DictionaryArray.from_arrays(pa.array(indices), vocabulary)


def _per_row(reduce: np.ufunc, values: NDArray, bounds: NDArray[np.int32], empty: float) -> NDArray:
    """`reduce` over `values[bounds[i] : bounds[i + 1]]` for each i, `empty` where that is empty."""
    rows = np.full(len(bounds) - 1, empty, values.dtype)
    filled = bounds[1:] > bounds[:-1]
    if filled.any():
        # reduceat answers wrongly for empty slices, and leaving them out keeps the others right:
        # each slice ends where the next filled one starts.
        rows[filled] = reduce.reduceat(values, bounds[:-1][filled])
    return rows

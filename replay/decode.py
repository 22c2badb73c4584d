"""Arrow to records: token arrays come back as read-only zero-copy slices of Arrow's buffers."""

from collections.abc import Iterable
from itertools import groupby, pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn
from redline.replay.schema import check_schema
from redline.sandbox.records import TestResult, TestStatus, Verdict

_STATUSES = tuple(TrajectoryStatus)
_TEST_STATUSES = tuple(TestStatus)


def table_to_groups(table: pa.Table) -> list[TrajectoryGroup]:
    """The groups of a table, in its order; the rows of a group must lie together.

    Raises `SchemaVersionError` when the table has another schema.
    """
    check_schema(table.schema, "table")
    return batches_to_groups(table.to_batches())


def batches_to_groups(batches: Iterable[pa.RecordBatch]) -> list[TrajectoryGroup]:
    """The groups of record batches; neighbouring rows of one group id make one group."""
    trajectories = [t for batch in batches for t in _trajectories(batch)]
    return [
        TrajectoryGroup(group_id=key, task_id=members[0].task_id, trajectories=members)
        for key, members in (
            (key, tuple(rows)) for key, rows in groupby(trajectories, lambda t: t.group_id)
        )
    ]


def _trajectories(batch: pa.RecordBatch) -> list[Trajectory]:
    turn_lists = batch.column("turns")
    turns = _turns(turn_lists.values)
    return [
        Trajectory(
            trajectory_id=trajectory_id,
            group_id=group_id,
            sample_index=sample_index,
            task_id=task_id,
            initial_program=program,
            turns=tuple(turns[start:stop]),
            status=_STATUSES[status],
            solved=solved,
            worker=worker,
            seconds=seconds,
        )
        for (
            trajectory_id,
            group_id,
            sample_index,
            task_id,
            program,
            (start, stop),
            status,
            solved,
            worker,
            seconds,
        ) in zip(
            _plain(batch.column("trajectory_id")),
            _plain(batch.column("group_id")),
            _plain(batch.column("sample_index")),
            _plain(batch.column("task_id")),
            _plain(batch.column("initial_program")),
            pairwise(_plain(turn_lists.offsets)),
            _codes(batch.column("status"), _STATUSES),
            _plain(batch.column("solved")),
            _plain(batch.column("worker")),
            _plain(batch.column("seconds")),
            strict=True,
        )
    ]


def _turns(turns: pa.StructArray) -> list[Turn]:
    return [
        Turn(
            state_token_ids=state,
            action_token_ids=action,
            rollout_logprobs=logprobs,
            weight_versions=versions,
            action_text=text,
            command=command,
            error=error,
            program=program,
            feedback=feedback,
            verdict=verdict,
            reward=reward,
        )
        for (
            state,
            action,
            logprobs,
            versions,
            text,
            command,
            error,
            program,
            feedback,
            verdict,
            reward,
        ) in zip(
            _slices(turns.field("state_token_ids")),
            _slices(turns.field("action_token_ids")),
            _slices(turns.field("rollout_logprobs")),
            _slices(turns.field("weight_versions")),
            _plain(turns.field("action_text")),
            _plain(turns.field("command")),
            _plain(turns.field("error")),
            _plain(turns.field("program")),
            _plain(turns.field("feedback")),
            _verdicts(turns.field("verdict")),
            _plain(turns.field("reward")),
            strict=True,
        )
    ]


def _verdicts(verdicts: pa.StructArray) -> list[Verdict | None]:
    test_lists = verdicts.field("tests")
    tests = _tests(test_lists.values)
    return [
        Verdict(tests=tuple(tests[start:stop]), tier=tier, wall_ms=wall_ms) if valid else None
        for valid, (start, stop), tier, wall_ms in zip(
            _plain(verdicts.is_valid()),
            pairwise(_plain(test_lists.offsets)),
            _plain(verdicts.field("tier")),
            _plain(verdicts.field("wall_ms")),
            strict=True,
        )
    ]


def _tests(tests: pa.StructArray) -> list[TestResult]:
    return [
        TestResult(status=_TEST_STATUSES[status], detail=detail, detail_blind=blind, cpu_ms=cpu_ms)
        for status, detail, blind, cpu_ms in zip(
            _codes(tests.field("status"), _TEST_STATUSES),
            _plain(tests.field("detail")),
            _plain(tests.field("detail_blind")),
            _plain(tests.field("cpu_ms")),
            strict=True,
        )
    ]


def _slices(lists: pa.ListArray) -> list[NDArray]:
    """Views of the list array's values, one for each of its rows."""
    values = lists.values.to_numpy()
    return [values[start:stop] for start, stop in pairwise(_plain(lists.offsets))]


def _plain(column: pa.Array) -> list:
    """Python values of a flat column; several times faster than `to_pylist`."""
    return column.to_numpy(zero_copy_only=False).tolist()


def _codes(column: pa.DictionaryArray, members: tuple) -> list[int]:
    """Positions in `members` of an enum column, whatever order its dictionary has."""
    order = np.array([members.index(value) for value in _plain(column.dictionary)], np.int64)
    return order[column.indices.to_numpy()].tolist()

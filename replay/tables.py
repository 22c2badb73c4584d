"""A store as four flat tables: groups, trajectories, turns and tokens.

Segments hold one row per trajectory with nested turns; questions and data frames want a row per
group, per turn or per token. Each function turns the record batch of one group into one table's
rows. Columns that lie flat in the segment already are passed on without a copy.
"""

from collections.abc import Callable
from enum import StrEnum
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from redline.replay.catalog import GroupState
from redline.replay.sampling import batch_priority
from redline.replay.schema import SCHEMA
from redline.sandbox.records import TestStatus


class TableName(StrEnum):
    """The tables of a store."""

    GROUPS = "groups"
    TRAJECTORIES = "trajectories"
    TURNS = "turns"
    TOKENS = "tokens"


GROUPS = pa.schema(
    [
        ("sequence", pa.int64()),
        ("group_id", pa.string()),
        ("task_id", pa.string()),
        ("state", pa.string()),
        ("trajectories", pa.int32()),
        ("solved", pa.int32()),
        ("reward_mean", pa.float64()),
        ("priority", pa.float64()),
        ("tokens", pa.int64()),
        ("oldest_version", pa.int32()),
        ("newest_version", pa.int32()),
    ]
)
_FLAT = [field for field in SCHEMA if field.name not in ("turns", "status")]
TRAJECTORIES = pa.schema([*_FLAT, ("status", pa.string()), ("num_turns", pa.int32())])
TURNS = pa.schema(
    [
        ("group_id", pa.string()),
        ("trajectory_id", pa.string()),
        ("turn", pa.int32()),
        ("command", pa.string()),
        ("status", pa.string()),
        ("reward", pa.float64()),
        ("error", pa.string()),
        ("action_text", pa.string()),
        ("feedback", pa.string()),
        ("program", pa.string()),
        ("tests", pa.int32()),
        ("tests_passed", pa.int32()),
        ("state_tokens", pa.int32()),
        ("action_tokens", pa.int32()),
    ]
)
TOKENS = pa.schema(
    [
        ("group_id", pa.string()),
        ("trajectory_id", pa.string()),
        ("position", pa.int32()),
        ("turn", pa.int32()),
        ("token_id", pa.int32()),
        ("mask", pa.bool_()),
        ("logprob", pa.float32()),
        ("weight_version", pa.int32()),
    ]
)


def group_rows(sequence: int, state: GroupState, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The group's one row of `GROUPS`."""
    oldest = batch.column("oldest_version").to_numpy()
    row = {
        "sequence": sequence,
        "group_id": batch.column("group_id")[0].as_py(),
        "task_id": batch.column("task_id")[0].as_py(),
        "state": str(state),
        "trajectories": batch.num_rows,
        "solved": pc.sum(batch.column("solved")).as_py(),
        "reward_mean": pc.mean(batch.column("reward")).as_py(),
        "priority": batch_priority(batch),
        "tokens": pc.sum(batch.column("tokens")).as_py(),
        "oldest_version": int(min(oldest[oldest >= 0], default=-1)),
        "newest_version": pc.max(batch.column("newest_version")).as_py(),
    }
    return pa.RecordBatch.from_pylist([row], GROUPS)


def trajectory_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    """One row of `TRAJECTORIES` per trajectory."""
    turns = np.diff(_offsets(batch.column("turns"))).astype(np.int32)
    columns = [batch.column(field.name) for field in _FLAT]
    status = batch.column("status").cast(pa.string())
    return pa.RecordBatch.from_arrays([*columns, status, pa.array(turns)], schema=TRAJECTORIES)


def turn_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    """One row of `TURNS` per turn.

    `status` is `malformed` (no command), `impossible` (a command that could not be applied),
    `unchanged` (nothing to run), `pass`, or the status of the first test that did not pass.
    """
    turns = batch.column("turns").values
    owner, number = _turn_places(batch)
    status, tests, passed = _verdicts(turns)
    return pa.RecordBatch.from_arrays(
        [
            batch.column("group_id").take(owner),
            batch.column("trajectory_id").take(owner),
            pa.array(number),
            turns.field("command"),
            pa.array(status, pa.string()),
            turns.field("reward"),
            *(turns.field(name) for name in ("error", "action_text", "feedback", "program")),
            pa.array(tests, pa.int32()),
            pa.array(passed, pa.int32()),
            pa.array(np.diff(_offsets(turns.field("state_token_ids")))),
            pa.array(np.diff(_offsets(turns.field("action_token_ids")))),
        ],
        schema=TURNS,
    )


def token_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    """One row of `TOKENS` per token, in the order of the context.

    `mask` is true for sampled tokens; for the others `logprob` is null and `weight_version` too.
    """
    turns = batch.column("turns").values
    owner, number = _turn_places(batch)
    states = _offsets(turns.field("state_token_ids"))
    actions = _offsets(turns.field("action_token_ids"))
    lengths = np.stack([np.diff(states), np.diff(actions)], 1).ravel()  # state, action, state, …
    mask = np.repeat(np.tile([False, True], len(number)), lengths)
    turn = np.repeat(np.arange(len(number)), np.diff(states) + np.diff(actions))
    row = owner[turn]
    first = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=batch.num_rows))])
    ids = np.empty(len(mask), np.int32)
    ids[~mask] = turns.field("state_token_ids").values
    ids[mask] = turns.field("action_token_ids").values
    return pa.RecordBatch.from_arrays(
        [
            batch.column("group_id").take(row),
            batch.column("trajectory_id").take(row),
            pa.array((np.arange(len(mask)) - first[row]).astype(np.int32)),
            pa.array(number[turn]),
            pa.array(ids),
            pa.array(mask),
            _sampled(turns.field("rollout_logprobs"), mask, np.float32),
            _sampled(turns.field("weight_versions"), mask, np.int32),
        ],
        schema=TOKENS,
    )


SCHEMAS = MappingProxyType(
    {
        TableName.GROUPS: GROUPS,
        TableName.TRAJECTORIES: TRAJECTORIES,
        TableName.TURNS: TURNS,
        TableName.TOKENS: TOKENS,
    }
)
ROWS: MappingProxyType[TableName, Callable[[pa.RecordBatch], pa.RecordBatch]] = MappingProxyType(
    {
        TableName.TRAJECTORIES: trajectory_rows,
        TableName.TURNS: turn_rows,
        TableName.TOKENS: token_rows,
    }
)


def _offsets(lists: pa.ListArray) -> NDArray[np.int32]:
    return lists.offsets.to_numpy()


def _turn_places(batch: pa.RecordBatch) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Row of the trajectory and index within it, for every turn of the batch: both (turns,)."""
    bounds = _offsets(batch.column("turns"))
    owner = np.repeat(np.arange(batch.num_rows), np.diff(bounds))
    return owner, (np.arange(len(owner)) - bounds[owner]).astype(np.int32)


def _sampled(values: pa.ListArray, mask: NDArray[np.bool_], dtype: type) -> pa.Array:
    """The values of sampled tokens at their places, null elsewhere: (tokens,)."""
    spread: NDArray = np.zeros(len(mask), dtype)
    spread[mask] = values.values
    return pa.array(spread, mask=~mask)


def _verdicts(turns: pa.StructArray) -> tuple[list[str], list[int], list[int]]:
    """Status, number of tests and number of passed ones of every turn."""
    statuses: list[str] = []
    tests: list[int] = []
    passed: list[int] = []
    verdicts = turns.field("verdict")
    bounds = verdicts.field("tests").offsets.to_pylist()
    results = verdicts.field("tests").values.field("status").cast(pa.string()).to_pylist()
    commands, errors = turns.field("command").is_valid(), turns.field("error").is_valid()
    for i, judged in enumerate(verdicts.is_valid().to_pylist()):
        mine = results[bounds[i] : bounds[i + 1]] if judged else []
        failed = [status for status in mine if status != TestStatus.PASS]
        tests.append(len(mine))
        passed.append(len(mine) - len(failed))
        if not commands[i].as_py():
            statuses.append("malformed")
        elif errors[i].as_py():
            statuses.append("impossible")
        elif not judged:
            statuses.append("unchanged")
        else:
            statuses.append(failed[0] if failed else str(TestStatus.PASS))
    return statuses, tests, passed

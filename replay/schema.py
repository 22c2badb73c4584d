"""Arrow schema of stored trajectories: one row per trajectory, one record batch per group.

Turns are a nested `list<struct>`, so that a trajectory without turns has a row like any other
and a group is one contiguous batch. Token columns are `list<int32>` and `list<float>` whose
values lie in one buffer per column and group: numpy reads them without a copy.

Flat tables of turns and tokens, for questions and data frames, are in `tables.py`.

`reward`, `tokens`, `oldest_version` and `newest_version` are derived from the turns when a row
is written; they make listing and the staleness bound cheap and are not read back into records.
"""

from enum import StrEnum

import pyarrow as pa

from redline.replay.errors import SchemaVersionError
from redline.replay.records import TrajectoryStatus
from redline.sandbox.records import TestStatus

SCHEMA_VERSION = 1
VERSION_KEY = b"redline.schema_version"


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _list(kind: pa.DataType) -> pa.DataType:
    return pa.list_(_required("item", kind))


def _vocabulary(values: type[StrEnum]) -> pa.Array:
    return pa.array([str(value) for value in values], pa.string())


ENUM = pa.dictionary(pa.int8(), pa.string())
TRAJECTORY_STATUSES = _vocabulary(TrajectoryStatus)
TEST_STATUSES = _vocabulary(TestStatus)

TOKENS = _list(pa.int32())
LOGPROBS = _list(pa.float32())

TEST = pa.struct(
    [
        _required("status", ENUM),
        _required("detail", pa.string()),
        _required("detail_blind", pa.string()),
        _required("cpu_ms", pa.float64()),
    ]
)
VERDICT = pa.struct(
    [
        _required("tests", _list(TEST)),
        _required("tier", pa.string()),
        _required("wall_ms", pa.float64()),
    ]
)
TURN = pa.struct(
    [
        _required("state_token_ids", TOKENS),
        _required("action_token_ids", TOKENS),
        _required("rollout_logprobs", LOGPROBS),
        _required("weight_versions", TOKENS),
        _required("action_text", pa.string()),
        pa.field("command", pa.string()),
        pa.field("error", pa.string()),
        _required("program", pa.string()),
        _required("feedback", pa.string()),
        pa.field("verdict", VERDICT),
        _required("reward", pa.float64()),
    ]
)
SCHEMA = pa.schema(
    [
        _required("group_id", pa.string()),
        _required("trajectory_id", pa.string()),
        _required("sample_index", pa.int32()),
        _required("task_id", pa.string()),
        _required("initial_program", pa.string()),
        _required("status", ENUM),
        _required("solved", pa.bool_()),
        _required("worker", pa.string()),
        _required("seconds", pa.float64()),
        _required("reward", pa.float64()),
        _required("tokens", pa.int32()),
        _required("oldest_version", pa.int32()),
        _required("newest_version", pa.int32()),
        _required("turns", _list(TURN)),
    ],
    metadata={VERSION_KEY: str(SCHEMA_VERSION)},
)


def check_schema(schema: pa.Schema, origin: str) -> None:
    """Raise `SchemaVersionError` naming `origin` unless `schema` is the one of this version."""
    found = (schema.metadata or {}).get(VERSION_KEY, b"none").decode(errors="replace")
    if found != str(SCHEMA_VERSION):
        raise SchemaVersionError(
            f"{origin}: schema version {found}, but this redline reads version {SCHEMA_VERSION}; "
            "use the redline that wrote it, or start a new store"
        )
    if not schema.equals(SCHEMA, check_metadata=False):
        raise SchemaVersionError(f"{origin}: columns differ from schema version {SCHEMA_VERSION}")

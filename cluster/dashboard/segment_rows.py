"""The flat facts of every trajectory of one sealed segment, copied out of its file."""

import numpy as np
import pyarrow as pa

from redline.replay.places import Place
from redline.replay.schema import SCHEMA
from redline.replay.segment import Segment

_TAKEN = (
    "trajectory_id", "group_id", "sample_index", "task_id", "solved", "worker", "seconds",
    "reward", "tokens", "oldest_version", "newest_version",
)  # fmt: skip
ROWS = pa.schema(
    [
        ("sequence", pa.int64()),
        ("row", pa.int32()),
        *((name, SCHEMA.field(name).type) for name in _TAKEN),
        ("status", pa.string()),
        ("turns", pa.int32()),
    ]
)
"""`sequence` is the number of the trajectory's group, `row` its place within the group."""


def read_segment_rows(path: Place) -> pa.Table:
    """One row of `ROWS` for each trajectory of a segment, in its order.

    The file's checksum is compared. Raises `SegmentError` for a damaged file,
    `SchemaVersionError` for one of another version, FileNotFoundError when it is gone.
    """
    batches = [_rows(sequence, batch) for sequence, batch in Segment(path).numbered()]
    table = pa.Table.from_batches(batches, ROWS)
    return table.take(np.arange(table.num_rows))  # a copy, which keeps no file mapped


def _rows(sequence: int, batch: pa.RecordBatch) -> pa.RecordBatch:
    count = batch.num_rows
    turns = np.diff(batch.column("turns").offsets.to_numpy())
    columns = [
        pa.array(np.full(count, sequence)),
        pa.array(np.arange(count, dtype=np.int32)),
        *(batch.column(name) for name in _TAKEN),
        batch.column("status").cast(pa.string()),
        pa.array(turns.astype(np.int32)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=ROWS)

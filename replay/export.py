"""Exporting a store to one Parquet file, for DuckDB, polars, pandas or another machine."""

from os import PathLike
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from redline.replay import identity
from redline.replay.files import TEMPORARY_SUFFIX
from redline.replay.schema import SCHEMA
from redline.replay.segment import Segment, list_segments


def export_parquet(store: str | PathLike[str], output: str | PathLike[str]) -> int:
    """Write all trajectories of `store` to `output`, oldest first; returns their number.

    The columns are those of `schema.SCHEMA`, one row group per segment, compressed with zstd;
    `decode.table_to_groups` reads the file back. The file appears whole or not at all. Raises
    `StoreError` when there is no store, `SegmentError` when a segment is corrupt.
    """
    identity.read_store_id(Path(store))
    target = Path(output)
    temporary = target.with_name(f"{target.name}{TEMPORARY_SUFFIX}")
    rows = 0
    try:
        with pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
            for file in list_segments(Path(store) / identity.SEGMENTS):
                batches = [batch for _, batch in Segment(file).numbered()]
                writer.write_table(pa.Table.from_batches(batches, SCHEMA))
                rows += sum(batch.num_rows for batch in batches)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return rows

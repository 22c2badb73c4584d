"""Exporting a store to one Parquet file, for DuckDB, polars, pandas or another machine."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from redline.replay import identity
from redline.replay.catalog import group_state, read_batches, read_numbered
from redline.replay.files import TEMPORARY_SUFFIX
from redline.replay.history import read_ledger
from redline.replay.places import StorePath, place_of
from redline.replay.schema import SCHEMA
from redline.replay.tables import ROWS, SCHEMAS, TableName, group_rows

_ROW_GROUP = 128  # batches


def export_parquet(
    store: StorePath, output: str | PathLike[str], table: TableName | None = None
) -> int:
    """Write all trajectories of `store` to `output`, oldest first; returns the number of rows.

    The columns are those of `schema.SCHEMA`, which `decode.table_to_groups` reads back, or those
    of one flat `table`; compressed with zstd. The file appears whole or not at all. Raises
    `StoreError` when there is no store, `SegmentError` when a segment is corrupt.
    """
    identity.read_store_id(place_of(store))
    target = Path(output)
    temporary = target.with_name(f"{target.name}{TEMPORARY_SUFFIX}")
    schema = SCHEMA if table is None else SCHEMAS[table]
    rows = 0
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for part in _parts(store, table):
                writer.write_table(pa.Table.from_batches(part, schema))
                rows += sum(batch.num_rows for batch in part)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return rows


def table_batches(store: StorePath, table: TableName) -> Iterator[pa.RecordBatch]:
    """Rows of one flat table of the store at `store`, a batch for each group, oldest first."""
    ledger = read_ledger(place_of(store))
    for sequence, batch in read_numbered(store):
        if table is TableName.GROUPS:
            yield group_rows(sequence, group_state(sequence, ledger), batch)
        else:
            yield ROWS[table](batch)


def _parts(store: StorePath, table: TableName | None) -> Iterator[list[pa.RecordBatch]]:
    """Batches that make one row group each."""
    batches = read_batches(store) if table is None else table_batches(store, table)
    part: list[pa.RecordBatch] = []
    for batch in batches:
        part.append(batch)
        if len(part) == _ROW_GROUP:
            yield part
            part = []
    if part:
        yield part

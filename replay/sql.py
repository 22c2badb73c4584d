"""Questions to a store in SQL, answered by DuckDB in memory; nothing is written anywhere."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from redline.replay import identity
from redline.replay.errors import StoreError
from redline.replay.export import table_batches
from redline.replay.places import StorePath, place_of
from redline.replay.tables import SCHEMAS, TableName

_SETTINGS = (
    "SET enable_external_access = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET lock_configuration = true",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Rows that a query gave."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def ask(store: StorePath, query: str) -> Answer:
    """Answer one SELECT over the tables of `TableName`.

    The query reaches no file, network or extension. Raises `StoreError` when DuckDB is missing,
    when there is no store, or when the query is wrong, and `SegmentError` for a corrupt segment.
    """
    identity.read_store_id(place_of(store))
    duckdb = _duckdb()
    with duckdb.connect(":memory:") as connection:
        try:
            statements = connection.extract_statements(query)
        except duckdb.Error as error:
            raise StoreError(f"SQL: {error}") from error
        kinds = [statement.type for statement in statements]
        reading = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
        if len(kinds) != 1 or kinds[0] not in reading:
            got = ", ".join(kind.name for kind in kinds) or "nothing"
            raise StoreError(f"SQL: got {got}, expected one SELECT; a store is only read")
        for name in _named(duckdb, connection, query):
            connection.register(name, _table(name, table_batches(store, name)))
        for setting in _SETTINGS:
            connection.execute(setting)
        try:
            result = connection.execute(statements[0])
            columns = tuple(column[0] for column in result.description)
            return Answer(columns=columns, rows=tuple(result.fetchall()))
        except duckdb.Error as error:
            raise StoreError(f"SQL: {error}") from error


def _duckdb() -> Any:
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise StoreError(
            "SQL needs DuckDB, which is not installed: pip install duckdb; or write the tables "
            "with `redline replay export --table` and ask them elsewhere"
        ) from error
    return duckdb


def _named(duckdb: Any, connection: Any, query: str) -> list[TableName]:
    """Tables that the query names: only those are read, as tokens may be many."""
    try:
        words = {name.lower() for name in connection.get_table_names(query)}
    except duckdb.Error:  # it knows no columns, and so no JOIN … USING: then any word may be one
        words = set(re.findall(r"\w+", query.lower()))
    return [name for name in TableName if name in words]


def _table(name: TableName, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(list(batches), SCHEMAS[name])

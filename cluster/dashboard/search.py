"""Searches over a snapshot of the index: filters and orders whole columns, no loop over rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from redline.cluster.dashboard.index import Snapshot
from redline.cluster.dashboard.query import Order, Query
from redline.replay.records import TrajectoryStatus

_SORTING = {
    Order.NEWEST: [],
    Order.OLDEST: [("sequence", "ascending")],
    Order.BEST: [("reward", "descending")],
    Order.WORST: [("reward", "ascending")],
    Order.LONGEST: [("tokens", "descending")],
}
_ROUNDING = 1e-9
"""A reward is a sum: -0.3 may be stored as -0.30000000000000004."""
_TIES = [("sequence", "descending"), ("sample_index", "ascending")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One trajectory of the index."""

    sequence: int
    """Number of its group."""
    row: int
    """Place within its group."""
    trajectory_id: str
    group_id: str
    sample_index: int
    task_id: str
    solved: bool
    worker: str
    seconds: float
    reward: float
    tokens: int
    oldest_version: int
    newest_version: int
    status: str
    turns: int
    state: str | None
    """None when the journal of the store is damaged."""
    reason: str | None
    step: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """A page of what a query found."""

    query: Query
    rows: tuple[ResultRow, ...]
    found: int
    """All that fit the query."""
    total: int
    """All that the store holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """What there is to choose from."""

    workers: tuple[str, ...]
    statuses: tuple[tuple[TrajectoryStatus, int], ...]
    """How many trajectories ended in each way."""


def search(snapshot: Snapshot, query: Query) -> SearchResult:
    """The trajectories that fit, ordered, from the query's offset on."""
    table = snapshot.table
    conditions = list(_conditions(table, query))
    found = table.filter(reduce(pc.and_, conditions)) if conditions else table
    order = pc.sort_indices(found, sort_keys=[*_SORTING[query.order], *_ties(query.order)])
    page = found.take(order[query.offset : query.offset + query.limit])
    return SearchResult(query=query, rows=to_rows(page), found=found.num_rows, total=table.num_rows)


def to_rows(table: pa.Table) -> tuple[ResultRow, ...]:
    """Rows of the index as records."""
    return tuple(ResultRow(**row) for row in table.to_pylist())


def group_rows(snapshot: Snapshot, group_id: str) -> tuple[ResultRow, ...]:
    """The trajectories of a group in sample order; empty when it is not in the store."""
    table = snapshot.table
    members = table.filter(pc.equal(table.column("group_id"), group_id))
    return tuple(sorted(to_rows(members), key=lambda row: row.sample_index))


def facets(snapshot: Snapshot) -> Facets:
    """Workers and statuses that occur."""
    table = snapshot.table
    counts = {e["values"]: e["counts"] for e in pc.value_counts(table.column("status")).to_pylist()}
    return Facets(
        workers=tuple(sorted(pc.unique(table.column("worker")).to_pylist())),
        statuses=tuple((status, counts.get(status, 0)) for status in TrajectoryStatus),
    )


def _ties(order: Order) -> list[tuple[str, str]]:
    return _TIES[1:] if order is Order.OLDEST else _TIES


def _conditions(table: pa.Table, query: Query) -> Iterator[pa.ChunkedArray]:
    if query.text:
        names = ("task_id", "trajectory_id", "group_id")
        hits = (pc.match_substring(table.column(n), query.text, ignore_case=True) for n in names)
        yield reduce(pc.or_, hits)
    for name, wanted in (
        ("status", query.status), ("state", query.state), ("worker", query.worker)
    ):  # fmt: skip
        if wanted:
            yield pc.equal(table.column(name), str(wanted))
    for name, low, high in (
        ("reward", query.reward_min, query.reward_max),
        ("step", query.step_min, query.step_max),
    ):
        if low is not None:
            yield pc.greater_equal(table.column(name), low - _ROUNDING)
        if high is not None:
            yield pc.less_equal(table.column(name), high + _ROUNDING)

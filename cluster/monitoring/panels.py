"""What a panel of the Grafana dashboard is; `grafana.py` turns all of them into Grafana's JSON.

Queries are in the short form of `queries.py`.
"""

from dataclasses import dataclass

RATE = "[$__rate_interval]"
"""Grafana's own: long enough for four scrapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture, or with `stat` one large number."""

    title: str
    queries: tuple[tuple[str, str], ...]
    """Short query and legend of each line."""
    unit: str = "short"
    """Grafana's name of the unit."""
    stat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


def by_worker(name: str) -> tuple[tuple[str, str], ...]:
    """A line for each worker."""
    return ((f"max by (worker) (@{name})", "{{worker}}"),)


def one(query: str, legend: str = "") -> tuple[tuple[str, str], ...]:
    """A single query."""
    return ((query, legend),)

"""What a user searches for, as it stands in the address of the page."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode

from redline.replay.catalog import GroupState
from redline.replay.records import TrajectoryStatus

PAGE_SIZE = 60
"""Trajectories shown at once."""
MAX_LIMIT = 500
_Choice = TypeVar("_Choice", bound=StrEnum)


class Order(StrEnum):
    """How found trajectories are ordered; ties go to the newest."""

    NEWEST = "newest"
    OLDEST = "oldest"
    BEST = "best"
    """Highest reward first."""
    WORST = "worst"
    """Lowest reward first."""
    LONGEST = "longest"
    """Most tokens first."""


class QueryError(ValueError):
    """A query that says nothing sensible; its message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Conditions that must all hold; empty ones hold always."""

    text: str = ""
    """Part of the task's, the group's or the trajectory's id, in any case."""
    status: TrajectoryStatus | None = None
    state: GroupState | None = None
    worker: str = ""
    reward_min: float | None = None
    reward_max: float | None = None
    step_min: int | None = None
    """First of the steps that trained on it; those not trained on are left out."""
    step_max: int | None = None
    order: Order = Order.NEWEST
    offset: int = 0
    limit: int = PAGE_SIZE

    def to_parameters(self, **changes: object) -> str:
        """The query as a query string, defaults left out."""
        values = {field.name: getattr(self, field.name) for field in fields(self)} | changes
        defaults = {field.name: field.default for field in fields(self)}
        return urlencode({k: v for k, v in values.items() if v != defaults[k] and v is not None})


def parse_query(parameters: Mapping[str, str]) -> Query:
    """The query in an address; other parameters are ignored, empty ones hold always.

    Raises `QueryError` naming the parameter, what it is and what it may be.
    """
    given = {k: v.strip() for k, v in parameters.items() if v.strip()}
    return Query(
        text=given.get("text", ""),
        status=_choice(given, "status", TrajectoryStatus),
        state=_choice(given, "state", GroupState),
        worker=given.get("worker", ""),
        reward_min=_number(given, "reward_min"),
        reward_max=_number(given, "reward_max"),
        step_min=_integer(given, "step_min"),
        step_max=_integer(given, "step_max"),
        order=_choice(given, "order", Order) or Order.NEWEST,
        offset=_integer(given, "offset") or 0,
        limit=min(_integer(given, "limit") or PAGE_SIZE, MAX_LIMIT),
    )


def _choice(given: Mapping[str, str], name: str, kind: type[_Choice]) -> _Choice | None:
    if name not in given:
        return None
    try:
        return kind(given[name])
    except ValueError:
        raise QueryError(f"{name} is {given[name]!r}, expected one of {', '.join(kind)}") from None


def _number(given: Mapping[str, str], name: str) -> float | None:
    if name not in given:
        return None
    try:
        value = float(given[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise QueryError(f"{name} is {given[name]!r}, expected a number such as 0.5")
    return value


def _integer(given: Mapping[str, str], name: str) -> int | None:
    if name not in given:
        return None
    text = given[name]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise QueryError(f"{name} is {text!r}, expected a whole number such as 12")
    return int(text)

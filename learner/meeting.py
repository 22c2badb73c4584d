"""What ranks are told to find each other; no engine is needed to know."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One rank's place in a group of several."""

    rank: int
    ranks: int
    seconds: float
    """After which waiting for another rank is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """Where the ranks of a group find each other."""

    host: str
    port: int

"""The life of one worker: what it may become, and from what.

    starting ──▶ proving ──▶ serving ──▶ draining ──▶ ended
        │           │           │            │
        └───────────┴───────────┴────────────┴──▶ lost, quarantined

Nobody comes back: a worker that was lost or quarantined is replaced by a new one under a new name.
Only a serving worker is given work.
"""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar


class Stage(StrEnum):
    """Where a worker stands."""

    STARTING = "starting"
    """Its process, or its engine, is not up yet."""
    PROVING = "proving"
    """It is up, but holds no proven version of the weights."""
    SERVING = "serving"
    DRAINING = "draining"
    """It finishes what it has and is given nothing new."""
    LOST = "lost"
    """It died, gave no sign of life in time, or failed."""
    QUARANTINED = "quarantined"
    """Nobody knows what weights it holds."""
    ENDED = "ended"
    """It was taken out on purpose, and had nothing left to do."""


_FAILED = frozenset({Stage.LOST, Stage.QUARANTINED})
_NEXT = {
    Stage.STARTING: _FAILED | {Stage.PROVING, Stage.ENDED},
    Stage.PROVING: _FAILED | {Stage.SERVING, Stage.ENDED},
    Stage.SERVING: _FAILED | {Stage.DRAINING},
    Stage.DRAINING: _FAILED | {Stage.ENDED},
}
LIVE = frozenset(_NEXT)
"""Stages of a worker whose process runs."""

W = TypeVar("W")


@dataclass(slots=True, eq=False, kw_only=True)
class Member(Generic[W]):
    """One worker of a fleet."""

    name: str
    worker: W
    since: float
    """Seconds of the fleet's clock at which it came into its stage."""
    stage: Stage = Stage.STARTING
    version: int | None = None
    """Weight version that it has proven; None before the first."""
    receipt: Any = None
    """The proof of that version."""
    problem: str = ""
    """Why it was lost or quarantined."""
    told: Any = None
    """What it said when it had started."""
    health: Any = None
    """What its last heartbeat said."""
    work: set[str] = field(default_factory=set)
    """Ids of what it was given and has not finished."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it will finish nothing more."""
    proof: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while weights are brought to it."""
    hearing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while it is told of sandboxes: calls at the same time may arrive in any order."""

    @property
    def live(self) -> bool:
        """Whether its process is expected to run."""
        return self.stage in LIVE

    def to(self, stage: Stage, now: float, problem: str = "") -> None:
        """Go on to another stage; raises RuntimeError when no way leads there."""
        if stage not in _NEXT.get(self.stage, frozenset()):
            raise RuntimeError(f"{self.name} is {self.stage} and cannot become {stage}")
        self.stage, self.since, self.problem = stage, now, problem
        if not self.live:
            self.gone.set()

    def fail(self, now: float, problem: str, *, quarantined: bool = False) -> None:
        """Be lost, or quarantined; changes nothing for one that is out already."""
        if self.live:
            self.to(Stage.QUARANTINED if quarantined else Stage.LOST, now, problem)

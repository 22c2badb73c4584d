"""Asks every worker about itself, each at its own pace, so that a silent one delays no other."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from redline.actors.records import SamplerStats
from redline.cluster.errors import UserError, WorkFailed, one_line
from redline.cluster.monitoring.definitions import Role
from redline.cluster.monitoring.numbers import Stats, own_numbers
from redline.cluster.status_file import WorkerState, WorkerStatus

SILENT_SECONDS = 10.0
Handles = Callable[[], Mapping[str, Any]]
"""The workers by name as they are now; each is asked for `stats` and `node_address`."""
Answer = Callable[[str, Any], Any]
"""Awaits a call of a worker; raises WorkFailed or UserError when it failed or was lost."""


@dataclass(slots=True, kw_only=True)
class _Known:
    """What is known of one worker."""

    handle: Any
    task: "asyncio.Task[None]"
    since: float
    heard: float | None = None
    stats: Stats | None = None
    node: str = ""
    problem: str = ""


class FleetPoll:
    """Follows the workers of a fleet that may change at any time."""

    def __init__(
        self,
        handles: Handles,
        on_stats: Callable[[str, Stats], Role],
        *,
        answer: Answer,
        every: float,
    ) -> None:
        """Each worker is asked `every` seconds after its last answer."""
        self._handles = handles
        self._on_stats = on_stats
        self._answer = answer
        self._every = every
        self._known: dict[str, _Known] = {}

    def refresh(self) -> list[str]:
        """Take up new and replaced workers; returns the names of those that are gone."""
        now = dict(self._handles())
        gone = [name for name, known in self._known.items() if now.get(name) is not known.handle]
        for name in gone:
            self._known.pop(name).task.cancel()
        for name, handle in now.items():
            if name not in self._known:
                task = asyncio.ensure_future(self._follow(name, handle))
                self._known[name] = _Known(handle=handle, task=task, since=time.monotonic())
        return [name for name in gone if name not in now]

    def workers(self) -> list[WorkerStatus]:
        """Every worker as it was last heard of; may be called from another thread."""
        return [_status(name, known) for name, known in list(self._known.items())]

    def close(self) -> None:
        """Stop asking."""
        for known in self._known.values():
            known.task.cancel()

    async def _follow(self, name: str, handle: Any) -> None:
        while True:
            known = self._known[name]
            try:
                stats = await self._answer(name, handle.stats.remote())
                if not known.node:
                    known.node = await self._answer(name, handle.node_address.remote())
                known.stats, known.problem = stats, _problem(stats)
                known.heard = time.monotonic()
                self._on_stats(name, stats)
            except (WorkFailed, UserError) as error:
                known.problem = one_line(error)
            await asyncio.sleep(self._every)


def _problem(stats: Stats) -> str:
    return stats.problem if isinstance(stats, SamplerStats) else ""


def _status(name: str, known: _Known) -> WorkerStatus:
    version = known.stats.version if isinstance(known.stats, SamplerStats) else None
    return WorkerStatus(
        name=name,
        role=name.partition("-")[0],
        state=_state(known),
        node=known.node,
        version=version,
        problem=known.problem,
        numbers={} if known.stats is None else own_numbers(known.stats),
    )


def _state(known: _Known) -> WorkerState:
    if known.problem:
        return WorkerState.LOST
    if known.heard is None:
        return WorkerState.STARTING
    if time.monotonic() - known.heard > SILENT_SECONDS:
        return WorkerState.SILENT
    if isinstance(known.stats, SamplerStats) and known.stats.version is None:
        return WorkerState.STARTING
    return WorkerState.SERVING

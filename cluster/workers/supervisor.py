"""One fleet of workers of a kind: each place in it is held by a worker after the other.

A place's worker is started, admitted, listened to, and replaced when it is lost: after a delay, and
within a budget. Places come and go with `resize`; a worker whose place goes is drained first.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from redline.cluster.deadlines import in_time
from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.workers.budget import RestartBudget
from redline.cluster.workers.lifecycle import Member, Stage
from redline.cluster.workers.news import News
from redline.cluster.workers.ports import WeightsUnproven, Worker, WorkerLost

W = TypeVar("W", bound=Worker)
_SECONDS_TO_END = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds that a fleet waits for its workers."""

    start: float
    heartbeat: float
    """For the answer to a heartbeat."""
    drain: float
    pause: float
    """Between two heartbeats."""


@dataclass(slots=True, eq=False)
class _Place(Generic[W]):
    """A place in the fleet and who holds it; nobody between two workers."""

    member: Member[W] | None = None
    leaving: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor(Generic[W]):
    """Keeps as many workers of a kind as there are places.

    kind:  such as "sampler"; workers are called kind-0, kind-1 and so on, nobody twice.
    spawn: makes a worker of this name, without waiting for it.
    admit: awaited before a worker that has started may serve; raises as heartbeats do. What it
           does after its last await happens before anybody else sees the worker serving.
    tell:  is given one line for each thing that happened.
    """

    def __init__(
        self,
        kind: str,
        *,
        spawn: Callable[[str], W],
        patience: Patience,
        budget: RestartBudget,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kind = kind
        self.share = 1.0
        """Work that each of its workers is given for each that one with share 1 is given."""
        self.news = News()
        self.admit: Callable[[Member[W]], Awaitable[None]] = _at_once
        self.drained: Callable[[Member[W]], Awaitable[None]] = self._work_done
        self.problem = ""
        """Why the fleet has nobody left and gets nobody; empty while it does."""
        self.replaced = 0
        self._spawn_worker = spawn
        self._patience = patience
        self._budget = budget
        self._tell = tell
        self._clock = clock
        self._numbers = itertools.count()
        self._places: list[_Place[W]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def target(self) -> int:
        """Places that are to be held."""
        return sum(not place.leaving.is_set() for place in self._places)

    @property
    def held(self) -> int:
        """Places that are to be held, and for whose workers the cluster has made room."""
        return sum(p.member is not None and not p.leaving.is_set() for p in self._places)

    @property
    def members(self) -> list[Member[W]]:
        """Who holds a place now, also those that are leaving theirs."""
        return [place.member for place in self._places if place.member is not None]

    def at(self, *stages: Stage) -> list[Member[W]]:
        """Members in one of these stages."""
        return [member for member in self.members if member.stage in stages]

    def open(self, count: int) -> list[Member[W]]:
        """Make the first workers; who calls this starts them, and tells `run` when all are up."""
        self._places = [_Place(self._spawn()) for _ in range(count)]
        return self.members

    def run(self) -> None:
        """Take over workers that were started by whom `open` gave them to."""
        for place in self._places:
            if place.member is not None:
                place.member.to(Stage.PROVING, self._clock())
            self._hold(place)

    def resize(self, target: int) -> None:
        """Add places, or have some left, those with the least to lose first."""
        for _ in range(target - self.target):
            self.problem = ""
            place: _Place[W] = _Place()
            self._places.append(place)
            self._hold(place)
        staying = [place for place in self._places if not place.leaving.is_set()]
        for place in sorted(staying, key=_loss)[: max(0, len(staying) - target)]:
            place.leaving.set()
        self.news.spread()

    def lose(self, member: Member[W], error: WorkerLost) -> None:
        """Somebody found out that a worker cannot go on."""
        member.fail(self._clock(), str(error), quarantined=isinstance(error, WeightsUnproven))
        self.news.spread()

    async def failure(self) -> str:
        """Wait until nobody is left and nobody comes; returns why."""
        while not self.problem:
            await self.news.wait()
        return self.problem

    async def close(self) -> None:
        """Stop supervising; whoever lives goes on."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self) -> Member[W]:
        name = f"{self.kind}-{next(self._numbers)}"
        return Member(name=name, worker=self._spawn_worker(name), since=self._clock())

    def _hold(self, place: _Place[W]) -> None:
        task = asyncio.ensure_future(self._keep(place))
        self._tasks.add(task)
        task.add_done_callback(self._on_end)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """A place is given up; a mistake of this module must not be lost with its task."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.problem = f"the supervision of a {self.kind} failed: {error!r}"
            self._tell(self.problem)
        self.news.spread()

    async def _keep(self, place: _Place[W]) -> None:
        """Have the place held by a worker after the other until it is left or given up."""
        try:
            while not place.leaving.is_set():
                member = place.member or self._spawn()
                place.member = member
                self.news.spread()
                await self._live(place, member)
                place.member = None
                self.news.spread()
                if member.stage is Stage.ENDED or not await self._may_replace(place, member):
                    return
        finally:
            self._places.remove(place)

    async def _live(self, place: _Place[W], member: Member[W]) -> None:
        """One worker's life, from its start to its end."""
        serving = asyncio.ensure_future(self._serve(member))
        gone = asyncio.ensure_future(member.gone.wait())
        leaving = asyncio.ensure_future(place.leaving.wait())
        ends: list[asyncio.Future[Any]] = [serving, gone]
        try:
            await asyncio.wait([*ends, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not serving.done() and member.live:
                await self._drain(member, ends)
            if serving.done():
                serving.result()  # raises: it ends only by what went wrong
        except (WorkFailed, UserError, WorkerLost) as error:
            quarantined = isinstance(error, WeightsUnproven)
            member.fail(self._clock(), str(error), quarantined=quarantined)
        finally:
            for task in (serving, gone, leaving):
                task.cancel()
            await asyncio.gather(serving, gone, leaving, return_exceptions=True)
            self.news.spread()
            if not self._closed:
                await member.worker.end(_SECONDS_TO_END)

    async def _serve(self, member: Member[W]) -> None:
        """Start, be admitted, and then answer heartbeats until one fails."""
        if member.stage is Stage.STARTING:
            start = member.worker.start()
            member.told = await in_time(start, self._patience.start, f"start of {member.name}")
            member.to(Stage.PROVING, self._clock())
            self.news.spread()
        await self.admit(member)
        member.to(Stage.SERVING, self._clock())
        self.news.spread()
        while True:
            beat = member.worker.heartbeat()
            member.health = await in_time(
                beat, self._patience.heartbeat, f"heartbeat of {member.name} (deadlines.heartbeat)"
            )
            await asyncio.sleep(self._patience.pause)

    async def _drain(self, member: Member[W], ends: Iterable[asyncio.Future[Any]]) -> None:
        """Let it finish what it has; then it is ended, or lost with what it did not finish."""
        if member.stage is Stage.SERVING:
            member.to(Stage.DRAINING, self._clock())
            self.news.spread()
            drained = asyncio.ensure_future(self.drained(member))
            try:
                await asyncio.wait(
                    [*ends, drained],
                    timeout=self._patience.drain,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if drained.done():
                    drained.result()
            finally:
                drained.cancel()
        if member.live and not any(end.done() for end in ends):
            left = len(member.work)
            member.to(Stage.ENDED, self._clock())
            again = f"; {left} groups go to others" if left else ""
            self._tell(f"{member.name} left the fleet{again}")

    async def _may_replace(self, place: _Place[W], member: Member[W]) -> bool:
        """Wait until a lost worker may be replaced; False when it is not."""
        if place.leaving.is_set():
            self._tell(f"{member.name} was {member.stage} while it left: {member.problem}")
            return False
        delay = self._budget.after_loss(self._clock())
        if delay is None:
            self._give_up(member)
            return False
        self.replaced += 1
        self._tell(
            f"{member.name} is {member.stage}: {member.problem}; a new {self.kind} takes its place "
            f"in {delay:.0f} s"
        )
        leaving = asyncio.ensure_future(place.leaving.wait())
        await asyncio.wait([leaving], timeout=delay)
        leaving.cancel()
        return not place.leaving.is_set()

    def _give_up(self, member: Member[W]) -> None:
        budget = self._budget
        spent = (
            f"{budget.restarts} were replaced within {budget.window:.0f} s already "
            "(fleet.restarts, fleet.restart_window)"
        )
        lost = f"{member.name} is {member.stage}: {member.problem}"
        self._tell(f"{lost}; it is not replaced, {spent}")
        if len(self._places) == 1:
            self.problem = f"no {self.kind} is left: {lost}; {spent}; go on with --resume"

    async def _work_done(self, member: Member[W]) -> None:
        while member.work:
            await self.news.wait()


async def _at_once(_: Any) -> None:
    """Nothing has to be proven."""


def _loss(place: _Place[Any]) -> tuple[bool, int, float]:
    """How much is lost when a place is left: who does not serve first, then by work and age."""
    member = place.member
    if member is None:
        return (False, 0, 0.0)
    return (member.stage is Stage.SERVING, len(member.work), -member.since)

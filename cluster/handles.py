"""Ray actor handles behind the protocols that the other rooms know; `learner_handle.py` and
`workers/ray_workers.py` have more.

What Ray raises is turned into what those protocols promise: a lost sandbox is an
InfrastructureError, everything else that ends the work a WorkFailed naming the worker.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from ray.exceptions import ActorDiedError, RayActorError, RayError, RayTaskError

from redline.actors.errors import StartError
from redline.cluster.deadlines import in_time
from redline.cluster.errors import UserError, WorkFailed, one_line
from redline.replay.cursor import Cursor
from redline.replay.records import DropReason, PartialGroup, TrajectoryGroup
from redline.replay.store_records import Lease, StoreStats
from redline.sandbox.records import (
    ExecutionRequest,
    InfrastructureError,
    IsolationRefused,
    Verdict,
)

T = TypeVar("T")
_LOOK_AGAIN_SECONDS = 0.2


def reason(error: BaseException) -> str:
    """What really happened, in one line, without the remote traceback."""
    if isinstance(error, RayTaskError) and error.cause is not None:
        return f"{type(error.cause).__name__}: {one_line(error.cause)}"
    return one_line(error).partition(" The actor is dead because")[0]


async def answer(worker: str, call: Awaitable[T]) -> T:
    """Await a worker's answer; raises WorkFailed naming it when it fails or is lost.

    An engine that cannot start with its settings, a model that is not there, or a sandbox that
    lacks isolation is a UserError.
    """
    try:
        return await call
    except RayTaskError as error:
        if isinstance(error.cause, StartError | FileNotFoundError | IsolationRefused):
            raise UserError(f"{worker}: {one_line(error.cause)}") from error
        raise WorkFailed(f"{worker} failed: {reason(error)}") from error
    except RayError as error:
        raise WorkFailed(f"{worker} was lost: {reason(error)}") from error


class RaySandboxes:
    """A SandboxClient over sandbox actors that may change; pickled into every sampler.

    A program has no effect but its verdict, so one whose actor is lost runs on another.
    """

    def __init__(self, handles: Mapping[str, Any], *, client: str, patience: float = 0.0) -> None:
        """`handles` by name; `client` is the sampler's name: in each actor, samplers take turns.

        `patience` is how many seconds a program waits for a sandbox while there is none.
        """
        self._client = client
        self._patience = patience
        self._handles = dict(handles)
        self._load = dict.fromkeys(self._handles, 0)
        self._lost: dict[str, str] = {}

    def change(self, sandboxes: Mapping[str, Any]) -> None:
        """Use these from now on; what others are doing is still waited for."""
        self._handles = dict(sandboxes)
        self._lost = {name: why for name, why in self._lost.items() if name in self._handles}

    async def run(self, request: ExecutionRequest) -> Verdict:
        """Run one request on the least busy actor."""
        (outcome,) = await self.run_many([request])
        if isinstance(outcome, InfrastructureError):
            raise outcome
        return outcome

    async def run_many(
        self, requests: Sequence[ExecutionRequest]
    ) -> list[Verdict | InfrastructureError]:
        """Run a batch on the least busy actor, on another one if that is lost meanwhile.

        Raises InfrastructureError when there is none in time, or the call fails in another way.
        """
        deadline = time.monotonic() + self._patience
        while True:
            name = await self._least_busy(deadline)
            self._load[name] = self._load.get(name, 0) + len(requests)
            try:
                return await self._handles[name].run_many.remote(requests, client=self._client)
            except ActorDiedError as error:
                self._lost[name] = reason(error)
            except RayError as error:
                if not isinstance(error, RayActorError) or time.monotonic() > deadline:
                    raise InfrastructureError(f"{name}: {reason(error)}") from error
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            finally:
                self._load[name] -= len(requests)

    async def _least_busy(self, deadline: float) -> str:
        while not (sound := [name for name in self._handles if name not in self._lost]):
            if time.monotonic() >= deadline:
                causes = "; ".join(f"{name}: {why}" for name, why in self._lost.items())
                raise InfrastructureError(f"no sandbox is left ({causes or 'none was there'})")
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return min(sound, key=lambda name: self._load.get(name, 0))


class RayStore:
    """The store behind a replay actor."""

    def __init__(self, handle: Any, *, keep_committed: int, seconds: float) -> None:
        """`seconds` is the deadline of each call."""
        self.handle = handle
        self._keep = keep_committed
        self._seconds = seconds

    async def lease(
        self, count: int, min_version: int, in_flight: Sequence[int], *, extended: bool = False
    ) -> Lease | None:
        """Take groups that are there already."""
        call = self.handle.lease.remote(
            count, min_version=min_version, in_flight=in_flight, extended=extended
        )
        return await self._answer(call)

    async def extend(
        self, lease_id: str, count: int, min_version: int, in_flight: Sequence[int]
    ) -> Lease | None:
        """Take more groups under the same lease."""
        call = self.handle.extend.remote(
            lease_id, count, min_version=min_version, in_flight=in_flight
        )
        return await self._answer(call)

    async def commit(self, lease_id: str) -> None:
        """Record that a lease was trained on."""
        await self._answer(self.handle.commit.remote(lease_id))

    async def cursor(self) -> Cursor:
        """What is committed and dropped."""
        return await self._answer(self.handle.cursor.remote())

    async def rewind(self, cursor: Cursor) -> None:
        """Go back to a checkpoint's cursor."""
        await self._answer(self.handle.rewind.remote(cursor))

    async def stats(self) -> StoreStats:
        """Counts of groups by state."""
        return await self._answer(self.handle.stats.remote())

    async def group_ids(self) -> frozenset[str]:
        """Ids of all stored groups."""
        return await self._answer(self.handle.group_ids.remote())

    async def save_in_flight(self, groups: Sequence[PartialGroup]) -> None:
        """Keep the turns so far of groups that are being sampled."""
        await self._answer(self.handle.save_in_flight.remote(groups))

    async def in_flight(self) -> tuple[PartialGroup, ...]:
        """What was saved last, without the groups that were stored since."""
        return await self._answer(self.handle.in_flight.remote())

    async def waiting_versions(self) -> tuple[int, ...]:
        """Oldest weight version of every stored group that no step was trained on."""
        return await self._answer(self.handle.waiting_versions.remote())

    async def discard(self, group: TrajectoryGroup, reason: DropReason) -> bool:
        """Store a group that nobody will train on, and count it."""
        return await self._answer(self.handle.discard.remote(group, reason))

    async def forget_before(self, oldest: Cursor | None) -> None:
        """Delete trained groups beyond those that are kept to be looked at."""
        call = self.handle.compact.remote(keep_committed=self._keep, before=oldest)
        await self._answer(call)

    async def failure(self, every: float) -> str:
        """Wait until it is lost, or hangs; returns which. It is asked `every` so many seconds.

        Without this, one that hangs would be noticed by those alone whose groups it does not take.
        """
        return await silence(lambda: self._answer(self.handle.heartbeat.remote()), every)

    async def _answer(self, call: Awaitable[T]) -> T:
        """Await the store's answer; raises WorkFailed when it is lost or late."""
        what = "replay store (deadlines.store)"
        return await in_time(answer("replay store", call), self._seconds, what)


async def silence(beat: Callable[[], Awaitable[object]], every: float) -> str:
    """Wait until a heartbeat fails; returns how, and that the run can be resumed.

    `beat` asks for one, which raises WorkFailed, `every` so many seconds.
    """
    while True:
        try:
            await beat()
        except WorkFailed as error:
            return f"{error}; go on with --resume"
        await asyncio.sleep(every)

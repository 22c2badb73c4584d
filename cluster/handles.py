"""Ray actor handles behind the protocols that the other rooms know; `learner_handle.py` has more.

What Ray raises is turned into what those protocols promise: a lost sandbox is an
InfrastructureError, everything else that ends the work a WorkFailed naming the worker.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import ray
from ray.exceptions import ActorDiedError, RayActorError, RayError, RayTaskError

from redline.actors.errors import StartError
from redline.actors.settings import AnswerSettings, SamplingSettings
from redline.cluster.errors import UserError, WorkFailed, one_line
from redline.dsl.tasks import RepairTask
from redline.replay.cursor import Cursor
from redline.replay.records import (
    DropReason,
    PartialGroup,
    TrajectoryGroup,
    WeightReceipt,
    WeightUpdate,
)
from redline.replay.store_records import Lease, StoreStats
from redline.sandbox.records import (
    ExecutionRequest,
    InfrastructureError,
    IsolationRefused,
    Verdict,
)

T = TypeVar("T")
_SECONDS_TO_TELL = 4.0
"""Of the time that an orderly stop has."""
_log = logging.getLogger(__name__)
_ATTEMPTS = 3
"""Samplers that a group is offered before the run gives up on it."""


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
    """A SandboxClient over all sandbox actors; pickled into every sampler."""

    def __init__(self, handles: Sequence[Any], *, client: str) -> None:
        """`client` is the sampler's name: in each actor, samplers take turns."""
        self._client = client
        self._handles = list(handles)
        self._load = [0] * len(self._handles)
        self._lost: dict[int, str] = {}

    async def run(self, request: ExecutionRequest) -> Verdict:
        """Run one request on the least busy actor."""
        (outcome,) = await self.run_many([request])
        if isinstance(outcome, InfrastructureError):
            raise outcome
        return outcome

    async def run_many(
        self, requests: Sequence[ExecutionRequest]
    ) -> list[Verdict | InfrastructureError]:
        """Run a batch on the least busy actor, on another one if that died meanwhile.

        Raises InfrastructureError when none is left, or the call fails in another way.
        """
        while True:
            index = self._least_busy()
            self._load[index] += len(requests)
            try:
                return await self._handles[index].run_many.remote(requests, client=self._client)
            except ActorDiedError as error:
                self._lost[index] = reason(error)
            except RayError as error:
                raise InfrastructureError(f"sandbox {index}: {reason(error)}") from error
            finally:
                self._load[index] -= len(requests)

    def _least_busy(self) -> int:
        sound = [index for index in range(len(self._handles)) if index not in self._lost]
        if not sound:
            causes = "; ".join(f"sandbox {index}: {why}" for index, why in self._lost.items())
            raise InfrastructureError(f"no sandbox is left ({causes})")
        return min(sound, key=self._load.__getitem__)


class RayStore:
    """The store behind a replay actor."""

    def __init__(self, handle: Any, *, keep_committed: int) -> None:
        self.handle = handle
        self._keep = keep_committed

    async def lease(self, count: int, min_version: int, in_flight: Sequence[int]) -> Lease | None:
        """Take groups that are there already."""
        call = self.handle.lease.remote(count, min_version=min_version, in_flight=in_flight)
        return await answer("replay store", call)

    async def commit(self, lease_id: str) -> None:
        """Record that a lease was trained on."""
        await answer("replay store", self.handle.commit.remote(lease_id))

    async def cursor(self) -> Cursor:
        """What is committed and dropped."""
        return await answer("replay store", self.handle.cursor.remote())

    async def rewind(self, cursor: Cursor) -> None:
        """Go back to a checkpoint's cursor."""
        await answer("replay store", self.handle.rewind.remote(cursor))

    async def stats(self) -> StoreStats:
        """Counts of groups by state."""
        return await answer("replay store", self.handle.stats.remote())

    async def group_ids(self) -> frozenset[str]:
        """Ids of all stored groups."""
        return await answer("replay store", self.handle.group_ids.remote())

    async def save_in_flight(self, groups: Sequence[PartialGroup]) -> None:
        """Keep the turns so far of groups that are being sampled."""
        await answer("replay store", self.handle.save_in_flight.remote(groups))

    async def in_flight(self) -> tuple[PartialGroup, ...]:
        """What was saved last, without the groups that were stored since."""
        return await answer("replay store", self.handle.in_flight.remote())

    async def waiting_versions(self) -> tuple[int, ...]:
        """Oldest weight version of every stored group that no step was trained on."""
        return await answer("replay store", self.handle.waiting_versions.remote())

    async def discard(self, group: TrajectoryGroup, reason: DropReason) -> bool:
        """Store a group that nobody will train on, and count it."""
        return await answer("replay store", self.handle.discard.remote(group, reason))

    async def forget_before(self, oldest: Cursor | None) -> None:
        """Delete trained groups beyond those that are kept to be looked at."""
        call = self.handle.compact.remote(keep_committed=self._keep, before=oldest)
        await answer("replay store", call)


class RaySampler:
    """One sampler behind an actor; its groups are not stored."""

    def __init__(self, name: str, handle: Any) -> None:
        self._name = name
        self._handle = handle

    async def sample_group(
        self,
        task: RepairTask,
        *,
        group_id: str,
        group_size: int | None = None,
        sampling: SamplingSettings | None = None,
        max_turns: int | None = None,
        answering: AnswerSettings | None = None,
    ) -> TrajectoryGroup:
        """Run some episodes of one task."""
        call = self._handle.sample_group.remote(
            task,
            group_id=group_id,
            group_size=group_size,
            sampling=sampling,
            max_turns=max_turns,
            answering=answering,
        )
        return await answer(self._name, call)


@dataclass(slots=True, eq=False)
class _Worker:
    """One sampler and how busy it is."""

    name: str
    handle: Any
    groups: int = 0
    lost: str = ""


async def _in_flight_of(worker: _Worker) -> Sequence[PartialGroup]:
    """A sampler's groups. One that is lost or hangs must not keep the run from being saved."""
    call = answer(worker.name, worker.handle.in_flight.remote())
    try:
        return await asyncio.wait_for(call, _SECONDS_TO_TELL)
    except TimeoutError:
        problem = f"{worker.name} told nothing of its groups within {_SECONDS_TO_TELL:g} s"
    except WorkFailed as error:
        problem = str(error)
    _log.warning("%s; a resumed run begins its groups again", problem)
    return ()


class RaySamplers:
    """All samplers; each group goes to the least busy one that is sound."""

    def __init__(self, handles: dict[str, Any], replay: Any) -> None:
        self._workers = [_Worker(name, handle) for name, handle in handles.items()]
        self._replay = replay

    async def roll_out(
        self, task: RepairTask, group_id: str, begun: PartialGroup | None = None
    ) -> None:
        """Sample a group and store it; the trajectories never pass through the driver."""
        for _ in range(_ATTEMPTS):
            worker = self._least_busy()
            worker.groups += 1
            try:
                group = worker.handle.sample_group.remote(task, group_id=group_id, begun=begun)
                await self._replay.append.remote(group)
                return
            except RayError as error:
                await self._examine(worker, error, group_id)
            finally:
                worker.groups -= 1
        raise WorkFailed(f"group {group_id} of task {task.task_id} failed {_ATTEMPTS} times")

    def each(self) -> list["RaySampler"]:
        """Every sound sampler by itself, for evaluation."""
        return [RaySampler(w.name, w.handle) for w in self._workers if not w.lost]

    async def in_flight(self) -> list[PartialGroup]:
        """Every group that is being sampled; of a sampler that does not answer, none."""
        told = await asyncio.gather(*(_in_flight_of(w) for w in self._workers if not w.lost))
        return [group for groups in told for group in groups]

    async def push(self, update: WeightUpdate) -> list[WeightReceipt]:
        """Deliver weights to every sampler at once; raises WorkFailed if one cannot prove them."""
        shared = ray.put(update)
        calls = [answer(w.name, w.handle.update_weights.remote(shared)) for w in self._workers]
        return list(await asyncio.gather(*calls))

    def _least_busy(self) -> _Worker:
        sound = [worker for worker in self._workers if not worker.lost]
        if not sound:
            causes = "; ".join(f"{worker.name}: {worker.lost}" for worker in self._workers)
            raise WorkFailed(f"no sampler is left ({causes}); go on with --resume")
        return min(sound, key=lambda worker: worker.groups)

    async def _examine(self, worker: _Worker, error: RayError, group_id: str) -> None:
        """Decide whether a failed group was the sampler's fault; if the store's, give up."""
        try:
            health = await asyncio.wait_for(worker.handle.health.remote(), 10.0)
        except (RayActorError, TimeoutError):
            worker.lost = reason(error)
            return
        if not health.ok:
            worker.lost = health.problem
        elif isinstance(error, RayActorError):
            raise WorkFailed(f"replay store was lost with group {group_id}: {reason(error)}") from (
                error
            )
        elif isinstance(error, RayTaskError):
            raise WorkFailed(f"group {group_id} on {worker.name}: {reason(error)}") from error

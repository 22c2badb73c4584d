"""Ray actors behind the protocols of supervision (`ports.py`)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from redline.actors.errors import EngineError, WeightMismatch
from redline.actors.settings import AnswerSettings, SamplingSettings
from redline.cluster.errors import WorkFailed
from redline.cluster.handles import answer, reason
from redline.cluster.published import PublishedWeights
from redline.cluster.workers.ports import ResultLost, WeightsUnproven, WorkerLost
from redline.dsl.tasks import RepairTask
from redline.replay.records import PartialGroup, TrajectoryGroup, WeightReceipt

_HEALTH_SECONDS = 10.0


class RayWorker:
    """A worker behind an actor; `handle` is the actor's."""

    def __init__(self, name: str, handle: Any) -> None:
        self.name = name
        self.handle = handle

    async def start(self) -> Any:
        """Start what is behind the actor; raises WorkFailed, or UserError for wrong input."""
        return await answer(self.name, self.handle.start.remote())

    async def heartbeat(self) -> Any:
        """How it is; raises WorkerLost when it cannot go on, or is gone."""
        try:
            health = await self.handle.heartbeat.remote()
        except RayError as error:
            raise WorkerLost(reason(error)) from error
        if not health.ok:
            raise WorkerLost(health.problem)
        return health

    async def end(self, seconds: float) -> None:
        """Let it end its processes, then kill the actor."""
        closing = asyncio.ensure_future(answer(self.name, self.handle.close.remote()))
        await asyncio.wait([closing], timeout=seconds)
        if closing.done():
            closing.exception()  # it is killed in any case: why it could not close does not matter
        closing.cancel()
        ray.kill(self.handle)


class RaySampler(RayWorker):
    """A sampler; what it stores goes to the `replay` actor without passing through the driver."""

    def __init__(self, name: str, handle: Any, replay: Any) -> None:
        super().__init__(name, handle)
        self._replay = replay

    async def roll_out(self, task: RepairTask, group_id: str, begun: PartialGroup | None) -> None:
        """Sample a group and store it; raises WorkerLost, ResultLost or WorkFailed."""
        group = self.handle.sample_group.remote(task, group_id=group_id, begun=begun)
        try:
            await self._replay.append.remote(group)
        except RayError as error:
            raise await self._blame(error, group_id) from error

    async def in_flight(self) -> Sequence[PartialGroup]:
        """Every group that is being sampled; raises WorkFailed when the sampler is lost."""
        return await answer(self.name, self.handle.in_flight.remote())

    async def sample_group(
        self,
        task: RepairTask,
        *,
        group_id: str,
        group_size: int | None,
        sampling: SamplingSettings | None,
        max_turns: int | None,
        answering: AnswerSettings | None,
    ) -> TrajectoryGroup:
        """Sample a group; raises as `roll_out` does."""
        call = self.handle.sample_group.remote(
            task,
            group_id=group_id,
            group_size=group_size,
            sampling=sampling,
            max_turns=max_turns,
            answering=answering,
        )
        try:
            return await call
        except RayError as error:
            raise await self._blame(error, group_id) from error

    async def update_weights(self, published: PublishedWeights) -> WeightReceipt:
        """Pull, load and prove weights; raises WorkerLost, and WeightsUnproven."""
        try:
            return await published.pull(self.name, self.handle)
        except RayTaskError as error:
            unproven = isinstance(error.cause, WeightMismatch)
            raise (WeightsUnproven if unproven else WorkerLost)(reason(error)) from error
        except RayError as error:
            raise WorkerLost(reason(error)) from error

    async def use_sandboxes(self, sandboxes: Mapping[str, Any]) -> None:
        """Have programs executed by these actors from now on."""
        await answer(self.name, self.handle.use_sandboxes.remote(dict(sandboxes)))

    async def _blame(self, error: RayError, group_id: str) -> Exception:
        """What a failed group means: for the sampler, for the group, or for the whole run."""
        cause = error.cause if isinstance(error, RayTaskError) else error
        if isinstance(cause, EngineError):
            return WorkerLost(reason(error))
        try:
            async with asyncio.timeout(_HEALTH_SECONDS):
                health = await self.handle.health.remote()
        except (RayError, TimeoutError):
            return WorkerLost(reason(error))
        if not health.ok:
            return WorkerLost(health.problem)
        if isinstance(cause, RayActorError):
            return WorkFailed(f"replay store was lost with group {group_id}: {reason(error)}")
        if isinstance(error, RayTaskError):
            return WorkFailed(f"group {group_id} on {self.name}: {reason(error)}")
        return ResultLost(reason(error))

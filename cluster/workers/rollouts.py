"""The rollout side of a run: samplers, sandboxes, and who tells the ones of the others.

Samplers send programs to sandboxes directly. So each change among the sandboxes is told to every
sampler, to a new one before it is given work; a sandbox that leaves is ended when all know, and
what it was given has its verdict.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from redline.cluster.deadlines import first_of, in_time
from redline.cluster.errors import WorkFailed
from redline.cluster.workers.lifecycle import Member, Stage
from redline.cluster.workers.ports import SamplerWorker, SandboxWorker
from redline.cluster.workers.samplers import ElasticSamplers
from redline.cluster.workers.supervisor import Supervisor

_SECONDS_TO_HEAR = 10.0
_LOOK_AGAIN_SECONDS = 0.2
_UP = (Stage.PROVING, Stage.SERVING, Stage.DRAINING)


class RolloutFleet:
    """Sandboxes, and samplers of every kind: fleets that change independently of each other.

    names: what users call the fleets of samplers, the first one's first.
    """

    def __init__(
        self,
        samplers: ElasticSamplers,
        sandboxes: Supervisor[SandboxWorker],
        *,
        names: Sequence[str] = ("samplers",),
    ) -> None:
        self.samplers = samplers
        self.sandboxes = sandboxes
        self.sandbox_starts: list[Any] = []
        """What each sandbox told when it had started."""
        self.on_sandbox: Callable[[], None] = _nothing
        """Called when a sandbox was added to them."""
        self._tasks: list[asyncio.Task[None]] = []
        self.fleets: dict[str, Supervisor[Any]] = {
            **dict(zip(names, samplers.fleets, strict=True)),
            "sandboxes": sandboxes,
        }
        """All fleets by what users call them."""
        for fleet in samplers.fleets:
            fleet.admit = self._admit_sampler
        sandboxes.admit = self._admit_sandbox
        sandboxes.drained = self._sandbox_drained

    @property
    def handles(self) -> dict[str, Any]:
        """Actors of all workers that are there now, by name; simulated ones have none."""
        members = [member for fleet in self.fleets.values() for member in fleet.members]
        return {m.name: m.worker.handle for m in members if m.worker.handle is not None}

    def run(self) -> None:
        """Supervise from now on; all first workers have started."""
        self.sandbox_starts += [member.told for member in self.sandboxes.members]
        self.sandboxes.run()
        for fleet in self.samplers.fleets:
            fleet.run()
        beside = self._announce_changes(), self.samplers.keep_turns()
        self._tasks = [asyncio.ensure_future(work) for work in beside]

    async def failure(self) -> str:
        """Wait until no sampler, or no sandbox, is left and none comes; returns why.

        Raises what ended one of the fleet's own tasks.
        """
        return await first_of(
            self.samplers.failure(), self.sandboxes.failure(), self._own_failure()
        )

    async def close(self) -> None:
        """Stop supervising; whoever lives goes on."""
        for task in self._tasks:
            task.cancel()
        for fleet in self.fleets.values():
            await fleet.close()

    def serving_sandboxes(self) -> dict[str, Any]:
        """Handles of the sandboxes that take programs, by name."""
        return {m.name: m.worker.handle for m in self.sandboxes.at(Stage.SERVING)}

    async def _own_failure(self) -> str:
        """Wait until a task of this fleet ends, which none does but by a mistake; raises that."""
        ended, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        return f"a task of the fleet ended: {ended.pop().result()}"

    async def _announce_changes(self) -> None:
        known: frozenset[str] = frozenset()
        while True:
            sandboxes = frozenset(self.serving_sandboxes())
            if sandboxes != known:
                await self._announce()
                known = sandboxes
            else:
                await self.sandboxes.news.wait()

    async def _announce(self) -> None:
        members = self.samplers.at(*_UP)
        await asyncio.gather(*(self._announce_to(member) for member in members))

    async def _announce_to(self, member: Member[SamplerWorker]) -> None:
        async with member.hearing:
            told = member.worker.use_sandboxes(self.serving_sandboxes())
            try:
                await in_time(told, _SECONDS_TO_HEAR, member.name)
            except WorkFailed:
                return  # its heartbeats tell whether it is lost, or only busy: then it hears later

    async def _admit_sandbox(self, member: Member[SandboxWorker]) -> None:
        if member.told not in self.sandbox_starts:
            self.sandbox_starts.append(member.told)
            self.on_sandbox()

    async def _admit_sampler(self, member: Member[SamplerWorker]) -> None:
        await self._announce_to(member)
        await self.samplers.admit(member)

    async def _sandbox_drained(self, member: Member[SandboxWorker]) -> None:
        """Wait until no sampler sends it anything and every program has its verdict."""
        await self._announce()
        while (health := await member.worker.heartbeat()).running + health.queued > 0:
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def _nothing() -> None:
    """Nobody wants to know."""

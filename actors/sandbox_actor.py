"""The sandbox as a process of its own: a backend, such as fork servers, behind async methods."""

import platform
from collections.abc import Sequence

from redline.actors.records import SandboxHealth, SandboxStart
from redline.sandbox.backends import BACKENDS
from redline.sandbox.records import ExecutionRequest, InfrastructureError, Verdict
from redline.sandbox.settings import SandboxSettings
from redline.sandbox.tally import PoolStats


class SandboxActor:
    """Owns a backend; a plain class that the cluster room makes a Ray actor."""

    def __init__(self, settings: SandboxSettings, *, name: str = "sandbox-0") -> None:
        self.name = name
        self._pool = BACKENDS[settings.backend](settings)

    async def start(self) -> SandboxStart:
        """Start the backend; returns the isolation that this machine gives.

        Raises IsolationRefused if that is below the configured minimum, and InfrastructureError
        if it cannot be started.
        """
        await self._pool.start()
        return SandboxStart(worker=self.name, node=platform.node(), tier=self._pool.tier.value)

    async def run(self, request: ExecutionRequest) -> Verdict:
        """Run one request; raises InfrastructureError when there is no verdict."""
        return await self._pool.run(request)

    async def run_many(
        self, requests: Sequence[ExecutionRequest], *, client: str = ""
    ) -> list[Verdict | InfrastructureError]:
        """Run many requests; the answers in their order. Clients of different names take turns."""
        return await self._pool.run_many(requests, client=client)

    async def heartbeat(self) -> SandboxHealth:
        """Whether the pool can go on, and what waits in it."""
        stats = self._pool.stats()
        return SandboxHealth(
            worker=self.name,
            ok=not self._pool.broken,
            problem=self._pool.broken,
            workers=stats.workers,
            running=stats.running,
            queued=stats.queued,
            executions=stats.executions,
        )

    async def stats(self) -> PoolStats:
        """Counts since the start."""
        return self._pool.stats()

    async def close(self) -> None:
        """End everything that it started."""
        await self._pool.close()

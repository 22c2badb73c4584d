"""A sandbox backend that asks the fork servers only once for the same program and tests.

redline train --config mine.yaml plugins=[remembering_backend] sandbox.backend=remembering
"""

import asyncio
from collections.abc import Sequence

from redline.sandbox.backends import BACKENDS
from redline.sandbox.pool import SandboxPool
from redline.sandbox.records import ExecutionRequest, InfrastructureError, Verdict
from redline.sandbox.settings import SandboxSettings
from redline.sandbox.tally import PoolStats
from redline.sandbox.tiers import Tier


class Remembering:
    """Verdicts by request, in front of a pool; one backend lives in each sandbox actor."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._pool = SandboxPool(settings.workers_per_actor, settings)
        self._known: dict[ExecutionRequest, Verdict] = {}

    @property
    def tier(self) -> Tier:
        """The pool's."""
        return self._pool.tier

    @property
    def broken(self) -> str:
        """The pool's."""
        return self._pool.broken

    async def start(self) -> None:
        """Start the fork servers."""
        await self._pool.start()

    async def run(self, request: ExecutionRequest) -> Verdict:
        """A known verdict, else the pool's; errors are not kept: they are not the program's."""
        if request not in self._known:
            self._known[request] = await self._pool.run(request)
        return self._known[request]

    async def run_many(
        self, requests: Sequence[ExecutionRequest], *, client: str = ""
    ) -> list[Verdict | InfrastructureError]:
        """Every request by itself; the answers in their order."""

        async def one(request: ExecutionRequest) -> Verdict | InfrastructureError:
            try:
                return await self.run(request)
            except InfrastructureError as error:
                return error

        return list(await asyncio.gather(*map(one, requests)))

    def stats(self) -> PoolStats:
        """The pool's: what was executed."""
        return self._pool.stats()

    async def close(self) -> None:
        """End the fork servers."""
        await self._pool.close()


BACKENDS.add("remembering", Remembering)

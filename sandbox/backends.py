"""What a sandbox actor runs programs with: fork servers, or a backend of the user's own."""

from collections.abc import Callable, Sequence
from typing import Protocol

from redline.dsl.registry import Registry
from redline.sandbox.pool import SandboxPool
from redline.sandbox.records import ExecutionRequest, InfrastructureError, Verdict
from redline.sandbox.settings import FORK_SERVERS, SandboxSettings
from redline.sandbox.tally import PoolStats
from redline.sandbox.tiers import Tier


class SandboxBackend(Protocol):
    """Runs programs and judges them from outside: what a candidate says of itself is no verdict."""

    @property
    def tier(self) -> Tier:
        """The isolation that it gives, once it was started."""
        ...

    @property
    def broken(self) -> str:
        """Why it cannot go on; empty while it can. The actor of a broken one is replaced."""
        ...

    async def start(self) -> None:
        """Get ready; raises IsolationRefused below `sandbox.min_tier`."""
        ...

    async def run(self, request: ExecutionRequest) -> Verdict:
        """Run one request; raises InfrastructureError when there is no verdict."""
        ...

    async def run_many(
        self, requests: Sequence[ExecutionRequest], *, client: str = ""
    ) -> list[Verdict | InfrastructureError]:
        """Run many; the answers in their order. Clients of different names take turns."""
        ...

    def stats(self) -> PoolStats:
        """Counts since the start."""
        ...

    async def close(self) -> None:
        """End everything that was started."""
        ...


BACKENDS: Registry[Callable[[SandboxSettings], SandboxBackend]] = Registry("sandbox.backend")
BACKENDS.add(FORK_SERVERS, lambda settings: SandboxPool(settings.workers_per_actor, settings))

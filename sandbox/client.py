"""What the rest of redline knows of a sandbox: something that runs requests."""

from collections.abc import Sequence
from typing import Protocol

from redline.sandbox.records import ExecutionRequest, InfrastructureError, Verdict


class SandboxClient(Protocol):
    """A pool in this process, or an actor's handle that looks like one."""

    async def run(self, request: ExecutionRequest) -> Verdict:
        """Run one request; raises `InfrastructureError` when there is no verdict."""
        ...

    async def run_many(
        self, requests: Sequence[ExecutionRequest]
    ) -> list[Verdict | InfrastructureError]:
        """Run many requests; the answers in their order."""
        ...

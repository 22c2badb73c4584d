"""What the rest of redline knows of a sandbox: something that runs requests."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

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


@runtime_checkable
class ElasticSandboxes(Protocol):
    """A client of sandboxes that come and go."""

    def change(self, sandboxes: Mapping[str, Any]) -> None:
        """Use these from now on: handles by name."""
        ...

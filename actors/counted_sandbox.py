"""A sandbox client that knows how many programs wait for a verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

from redline.sandbox.client import ElasticSandboxes, SandboxClient
from redline.sandbox.records import ExecutionRequest, InfrastructureError, Verdict


class CountedSandbox:
    """Passes everything on, and counts what is on its way."""

    def __init__(self, inner: SandboxClient) -> None:
        self._inner = inner
        self.executing = 0
        """Programs without a verdict so far."""

    async def run(self, request: ExecutionRequest) -> Verdict:
        """Run one request; raises what the client raises."""
        self.executing += 1
        try:
            return await self._inner.run(request)
        finally:
            self.executing -= 1

    async def run_many(
        self, requests: Sequence[ExecutionRequest]
    ) -> list[Verdict | InfrastructureError]:
        """Run many requests; the answers in their order."""
        self.executing += len(requests)
        try:
            return await self._inner.run_many(requests)
        finally:
            self.executing -= len(requests)

    def change(self, sandboxes: Mapping[str, Any]) -> None:
        """Use these sandboxes from now on, if those behind this can change."""
        if isinstance(self._inner, ElasticSandboxes):
            self._inner.change(sandboxes)

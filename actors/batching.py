"""A sandbox client that sends requests together which came together.

Behind a Ray actor each call costs about a millisecond however many requests it carries, and the
episodes of a sampler finish their actions in the same engine step, so their requests arrive at
almost the same time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from redline.sandbox.client import ElasticSandboxes, SandboxClient
from redline.sandbox.records import ExecutionRequest, InfrastructureError, Verdict

_Waiting = tuple[ExecutionRequest, "asyncio.Future[Verdict]"]


class BatchingSandboxClient:
    """Collects requests for a fraction of a millisecond and sends them as one `run_many`."""

    def __init__(
        self, inner: SandboxClient, *, delay_seconds: float = 0.0005, max_batch: int = 64
    ) -> None:
        self._inner = inner
        self._delay = delay_seconds
        self._max_batch = max_batch
        self._waiting: list[_Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def run(self, request: ExecutionRequest) -> Verdict:
        """Run one request together with those that arrive at the same time."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Verdict] = loop.create_future()
        self._waiting.append((request, answer))
        if len(self._waiting) >= self._max_batch:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_later(self._delay, self._flush)
        return await answer

    async def run_many(
        self, requests: Sequence[ExecutionRequest]
    ) -> list[Verdict | InfrastructureError]:
        """Pass a batch on as it is."""
        return await self._inner.run_many(requests)

    def change(self, sandboxes: Mapping[str, Any]) -> None:
        """Use these sandboxes from now on, if those behind this can change."""
        if isinstance(self._inner, ElasticSandboxes):
            self._inner.change(sandboxes)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._waiting = self._waiting, []
        if batch:
            task = asyncio.ensure_future(self._send(batch))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, batch: list[_Waiting]) -> None:
        answers: list[Verdict | InfrastructureError]
        try:
            answers = await self._inner.run_many([request for request, _ in batch])
            if len(answers) != len(batch):
                raise InfrastructureError(
                    f"sandbox answered {len(answers)} of {len(batch)} requests"
                )
        except Exception as error:  # noqa: BLE001 - whatever broke the call, these have no verdict
            answers = [_as_infrastructure(error)] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue  # its episode was cancelled
            if isinstance(answer, InfrastructureError):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def _as_infrastructure(error: Exception) -> InfrastructureError:
    """Whatever broke the call, these requests have no verdict."""
    if isinstance(error, InfrastructureError):
        return error
    failure = InfrastructureError(f"sandbox call failed: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure

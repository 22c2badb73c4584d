"""The pool for code without an event loop: command lines and the task generator."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from types import TracebackType

from redline.sandbox.pool import SandboxPool
from redline.sandbox.records import ExecutionRequest, InfrastructureError, Verdict
from redline.sandbox.settings import SandboxSettings


class BlockingSandbox:
    """A pool for code without an event loop; its servers live from `with` to the end of it."""

    def __init__(self, workers: int, settings: SandboxSettings | None = None) -> None:
        self._pool = SandboxPool(workers, settings)
        self._runner = asyncio.Runner()

    def __enter__(self) -> "BlockingSandbox":
        try:
            self._runner.run(self._pool.start())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.closing(self._runner):
            self._runner.run(self._pool.close())

    def run_all(
        self,
        requests: Sequence[ExecutionRequest],
        progress: Callable[[int], None] | None = None,
    ) -> list[Verdict | InfrastructureError]:
        """Run all requests; `progress` is told the number done, after each."""
        return self._runner.run(self._run_all(requests, progress))

    async def _run_all(
        self, requests: Sequence[ExecutionRequest], progress: Callable[[int], None] | None
    ) -> list[Verdict | InfrastructureError]:
        return await self._pool.run_many(requests, progress=progress)


def run_all(
    requests: Sequence[ExecutionRequest],
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
    settings: SandboxSettings | None = None,
) -> list[Verdict]:
    """Run all requests on a pool of their own and wait for the verdicts, in order.

    For command lines; must not be called from a running event loop. Raises `InfrastructureError`
    naming how many requests had no verdict after all retries.
    """
    with BlockingSandbox(workers, settings) as sandbox:
        answers = sandbox.run_all(requests, progress)
    errors = [answer for answer in answers if isinstance(answer, InfrastructureError)]
    if errors:
        raise InfrastructureError(f"{len(errors)} of {len(answers)} have no verdict: {errors[0]}")
    return [answer for answer in answers if isinstance(answer, Verdict)]

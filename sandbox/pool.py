"""A pool of fork servers behind an asyncio front."""

import asyncio
import collections
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any

from redline.sandbox.execution import execute
from redline.sandbox.fair_queue import FairQueue
from redline.sandbox.health import is_healthy
from redline.sandbox.isolation import start_strongest
from redline.sandbox.records import ExecutionRequest, InfrastructureError, Verdict
from redline.sandbox.server import ForkServer, ServerFacts
from redline.sandbox.settings import SandboxSettings
from redline.sandbox.tally import PoolStats, Tally
from redline.sandbox.tiers import Tier

_START_ATTEMPTS = 3
_LANES_PER_SERVER = 4


class SandboxPool:
    """Runs requests on a fixed number of fork servers: clients take turns, each in its order.

    Implements `SandboxClient`. Use on one event loop, between `start` and `close`.
    """

    def __init__(self, workers: int, settings: SandboxSettings | None = None) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        self._workers = workers
        self._settings = settings or SandboxSettings()
        self._idle: collections.deque[ForkServer] = collections.deque()
        self._waiting: FairQueue[asyncio.Future[ForkServer]] = FairQueue()
        self._servers: set[ForkServer] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._facts: ServerFacts | None = None
        self._broken = "the pool is not started"
        self._tally = Tally()

    async def start(self) -> None:
        """Start the fork servers, all of the strongest tier that this machine gives.

        Raises `IsolationRefused` if that is below the configured minimum, and
        `InfrastructureError` if a server cannot be started.
        """
        self._broken = ""
        try:
            first = await start_strongest(self._settings)
            self._facts = first.facts
            self._add(first)
            starts = [self._start_server() for _ in range(self._workers - 1)]
            for error in await asyncio.gather(*starts, return_exceptions=True):
                if error is not None:
                    raise error
        except BaseException:
            await self.close()
            raise
        if self._settings.health_check_seconds:
            self._spawn(self._watch_health(self._settings.health_check_seconds))

    async def close(self) -> None:
        """End everything that the pool started; waiting requests fail."""
        self._break("the pool is closed")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        servers, self._servers = self._servers, set()
        self._idle.clear()
        await asyncio.gather(*(server.close() for server in servers))

    async def __aenter__(self) -> "SandboxPool":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def run(self, request: ExecutionRequest, *, client: str = "") -> Verdict:
        """Run one request; clients by different names take turns.

        A server that fails is replaced and the request runs on another one; raises
        `InfrastructureError` after `max_retries` retries, and at once when `max_queued` requests
        wait already. Such a request has no verdict.
        """
        attempts = 1 + self._settings.max_retries
        for attempt in range(attempts):
            server = await self._acquire(client)
            self._tally.running += 1
            try:
                verdict = await execute(request, self._tally.counted(server), server.facts.tier)
            except InfrastructureError as error:
                if attempt + 1 == attempts or self._broken:
                    self._tally.infrastructure_errors += 1
                    raise InfrastructureError(
                        f"no verdict after {attempt + 1} attempts: {error}"
                    ) from error
                self._tally.retries += 1
            else:
                self._tally.count(verdict)
                return verdict
            finally:
                self._tally.running -= 1
                self._release(server)
        raise AssertionError("unreachable")

    async def run_many(
        self,
        requests: Sequence[ExecutionRequest],
        *,
        client: str = "",
        progress: Callable[[int], None] | None = None,
    ) -> list[Verdict | InfrastructureError]:
        """Run many requests; verdicts and errors in the order of the requests.

        Hands in no more at once than keeps all servers busy; `progress` is told the number done,
        after each.
        """
        answers: list[Verdict | InfrastructureError | None] = [None] * len(requests)
        left, done = iter(enumerate(requests)), 0

        async def hand_in() -> None:
            nonlocal done
            for index, request in left:
                answers[index] = await self._run_or_error(request, client)
                done += 1
                if progress is not None:
                    progress(done)

        lanes = min(len(requests), _LANES_PER_SERVER * self._workers)
        await asyncio.gather(*(hand_in() for _ in range(lanes)))
        return [answer for answer in answers if answer is not None]

    @property
    def tier(self) -> Tier:
        """Isolation of all servers, found when the pool started."""
        return self.facts.tier

    @property
    def facts(self) -> ServerFacts:
        """What the first server told of its isolation; raises `InfrastructureError` before."""
        if self._facts is None:
            raise InfrastructureError(self._broken)
        return self._facts

    @property
    def broken(self) -> str:
        """Why the pool runs nothing more, or nothing yet; empty while it does."""
        return self._broken

    def stats(self) -> PoolStats:
        """Counts since the pool started."""
        return self._tally.stats(workers=self._workers, queued=len(self._waiting))

    async def _run_or_error(
        self, request: ExecutionRequest, client: str
    ) -> Verdict | InfrastructureError:
        try:
            return await self.run(request, client=client)
        except InfrastructureError as error:
            return error

    async def _acquire(self, client: str) -> ForkServer:
        if self._broken:
            raise InfrastructureError(self._broken)
        if self._idle and not self._waiting:
            return self._idle.popleft()
        if len(self._waiting) >= self._settings.max_queued:
            raise InfrastructureError(
                f"{len(self._waiting)} executions wait already (sandbox.max_queued)"
            )
        turn: asyncio.Future[ForkServer] = asyncio.get_running_loop().create_future()
        self._waiting.push(client, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._offer(turn.result())
            raise

    def _offer(self, server: ForkServer) -> None:
        """Give a usable server to whose turn it is."""
        while self._waiting:
            turn = self._waiting.pop()
            if not turn.done():
                turn.set_result(server)
                return
        self._idle.append(server)

    def _release(self, server: ForkServer) -> None:
        if self._broken:
            return
        if server.usable and server.executions < self._settings.recycle_after:
            self._offer(server)
        else:
            self._spawn(self._renew(server))

    async def _renew(self, server: ForkServer) -> None:
        """Bring a server back into a usable state, or another one in its place."""
        await server.settle()
        if server.usable and server.executions < self._settings.recycle_after:
            self._offer(server)
            return
        await server.close()
        self._servers.discard(server)
        for attempt in range(_START_ATTEMPTS):
            try:
                await self._start_server()
                return
            except InfrastructureError as error:
                if attempt + 1 == _START_ATTEMPTS:
                    self._break(f"cannot replace a fork server: {error}")
                await asyncio.sleep(0.1 * 4**attempt)

    async def _start_server(self) -> None:
        """Another server of the same tier: a machine that gives less than before is a fault."""
        self._add(await ForkServer.start(self.tier))

    def _add(self, server: ForkServer) -> None:
        self._tally.servers_started += 1
        self._servers.add(server)
        self._offer(server)

    async def _watch_health(self, seconds: float) -> None:
        """Try each idle server now and then; replace one that fails before anybody needs it."""
        while not self._broken:
            await asyncio.sleep(seconds)
            for _ in range(len(self._idle)):
                if not self._idle:
                    break
                server = self._idle.popleft()
                if await is_healthy(server):
                    self._release(server)
                else:
                    self._tally.unhealthy += 1
                    server.kill()
                    await self._renew(server)

    def _break(self, reason: str) -> None:
        self._broken = reason
        while self._waiting:
            turn = self._waiting.pop()
            if not turn.done():
                turn.set_exception(InfrastructureError(reason))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

"""No wait is for ever, and each names whom it was for."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from redline.cluster.errors import WorkFailed

T = TypeVar("T")
E = TypeVar("E")
_TICK_SECONDS = 1.0
"""A wait is measured in steps of this length, and a step that took longer counts as one."""


async def in_time(work: Awaitable[T], seconds: float, what: str) -> T:
    """Await `work`; raise WorkFailed naming `what` when it takes longer than `seconds`.

    Time for which this process itself was stopped (Ctrl-Z, a debugger) is not held against whom it
    waits for. Not by `asyncio.wait_for`, which in Python 3.11 forgets a cancellation that comes
    together with the result.
    """
    try:
        async with asyncio.timeout(None) as limit:
            alarm = _Alarm(limit, seconds)
            try:
                return await work
            finally:
                alarm.off()
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise WorkFailed(f"{what}: no answer after {seconds:.0f} s") from error


async def wait_in_time(
    tasks: Collection[asyncio.Future[T]],
    seconds: float,
    *,
    return_when: str = asyncio.ALL_COMPLETED,
) -> tuple[set[asyncio.Future[T]], set[asyncio.Future[T]]]:
    """`asyncio.wait`, whose time is measured as by `in_time`: those done, and those not."""
    with suppress(WorkFailed):  # the time has passed: what the tasks raise stays with them
        await in_time(asyncio.wait(tasks, return_when=return_when), seconds, "")
    done = {task for task in tasks if task.done()}
    return done, set(tasks) - done


class _Alarm:
    """Ends a timeout after so many seconds in which this process ran."""

    def __init__(self, limit: asyncio.Timeout, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._left = seconds
        self._wait()

    def off(self) -> None:
        """Let the timeout be."""
        self._next.cancel()

    def _wait(self) -> None:
        step = min(self._left, _TICK_SECONDS)
        self._left -= step
        self._next = self._loop.call_later(step, self._ring)

    def _ring(self) -> None:
        if self._loop.time() - self._next.when() > _TICK_SECONDS:
            # We were stopped: answers that came meanwhile are only now taken in.
            self._left += _TICK_SECONDS
        if self._left > 0:
            self._wait()
        else:
            self._limit.reschedule(self._loop.time())


async def first_of(*works: Coroutine[Any, Any, T]) -> T:
    """What the first of them that is done returns or raises; the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()


async def unless_failed(work: Coroutine[Any, Any, T], failure: Coroutine[Any, Any, str]) -> T:
    """The result of the work, which is cancelled when `failure` returns: WorkFailed with that."""
    return await unless(work, failure, WorkFailed)


async def unless(work: Awaitable[T], end: Awaitable[E], error: Callable[[E], Exception]) -> T:
    """The result of the work, which is cancelled when `end` returns; raises `error` of that then.

    Work that is done at the same moment counts as done.
    """
    task, ending = asyncio.ensure_future(work), asyncio.ensure_future(end)
    try:
        await asyncio.wait([task, ending], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise error(ending.result())
        return task.result()
    finally:
        for future in (task, ending):
            future.cancel()
        await asyncio.gather(task, ending, return_exceptions=True)

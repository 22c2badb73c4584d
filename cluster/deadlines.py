"""No wait is for ever, and each names whom it was for."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from redline.cluster.errors import WorkFailed

T = TypeVar("T")
E = TypeVar("E")


async def in_time(work: Awaitable[T], seconds: float, what: str) -> T:
    """Await `work`; raise WorkFailed naming `what` when it takes longer than `seconds`.

    Not by `asyncio.wait_for`, which in Python 3.11 forgets a cancellation that comes together with
    the result.
    """
    try:
        async with asyncio.timeout(seconds) as limit:
            return await work
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise WorkFailed(f"{what}: no answer after {seconds:.0f} s") from error


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

"""No wait is for ever, and each names whom it was for."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from redline.cluster.errors import WorkFailed

T = TypeVar("T")


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
    task, failing = asyncio.ensure_future(work), asyncio.ensure_future(failure)
    try:
        await asyncio.wait([task, failing], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise WorkFailed(failing.result())
        return task.result()
    finally:
        for future in (task, failing):
            future.cancel()
        await asyncio.gather(task, failing, return_exceptions=True)

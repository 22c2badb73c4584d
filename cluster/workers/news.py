"""Something changed: everybody who waits looks again."""

import asyncio


class News:
    """An event that is never over: each `spread` wakes who waits at that time."""

    def __init__(self) -> None:
        self._next = asyncio.Event()
        self.heard = 0
        """How often something changed."""

    def spread(self) -> None:
        """Wake everybody who waits."""
        self.heard += 1
        event, self._next = self._next, asyncio.Event()
        event.set()

    async def wait(self) -> None:
        """Wait for the next change."""
        await self._next.wait()

"""The replay store as a process of its own, with leases that wait until there is enough."""

import asyncio
from collections.abc import Sequence

from redline.replay.cursor import Cursor
from redline.replay.places import StorePath
from redline.replay.records import DropReason, PartialGroup, TrajectoryGroup
from redline.replay.sampling import Sampling
from redline.replay.settings import ReplaySettings
from redline.replay.store import ReplayStore
from redline.replay.store_records import Lease, StoreStats


class ReplayActor:
    """Owns a ReplayStore; a plain class that the cluster room makes a Ray actor.

    All calls run on one event loop, so the store is never entered twice at once.
    """

    def __init__(self, path: StorePath, settings: ReplaySettings | None = None) -> None:
        settings = settings or ReplaySettings()
        self._store = ReplayStore(
            path,
            groups_per_segment=settings.groups_per_segment,
            lease_seconds=settings.lease_seconds,
            sampling=Sampling.of(settings),
        )
        self._changed = asyncio.Condition()

    async def append(self, group: TrajectoryGroup) -> bool:
        """Store a group unless its id is there already; says whether it was new."""
        new = self._store.append(group)
        await self._wake()
        return new

    async def seal(self) -> None:
        """Make every appended group durable."""
        self._store.seal()

    async def lease(
        self,
        count: int,
        *,
        min_version: int | None = None,
        in_flight: Sequence[int] = (),
        deadline_s: float = 0.0,
        partial: bool = False,
        extended: bool = False,
    ) -> Lease | None:
        """Lend `count` groups, waiting up to `deadline_s` seconds for enough of them.

        None when the deadline passed; the caller knows whom it was waiting for. With `partial`,
        what is there at the deadline is lent, if anything is. With `extended`, a rewound batch
        that was extended is lent as it was.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline_s
        async with self._changed:
            while True:
                lease = self._store.lease(
                    count, min_version=min_version, in_flight=in_flight, extended=extended
                )
                remaining = end - loop.time()
                if lease is not None:
                    return lease
                if remaining <= 0:
                    break
                await _wait(self._changed, remaining)
        if not partial:
            return None
        return self._store.lease(count, min_version=min_version, in_flight=in_flight, partial=True)

    async def extend(
        self,
        lease_id: str,
        count: int,
        *,
        min_version: int | None = None,
        in_flight: Sequence[int] = (),
    ) -> Lease | None:
        """The lease with `count` groups more, or None when there are fewer."""
        return self._store.extend(lease_id, count, min_version=min_version, in_flight=in_flight)

    async def commit(self, lease_id: str) -> None:
        """Mark the groups of a lease as trained on, durably."""
        self._store.commit(lease_id)

    async def release(self, lease_id: str) -> None:
        """Give the groups of a lease back."""
        self._store.release(lease_id)
        await self._wake()

    async def cursor(self) -> Cursor:
        """What is committed and dropped now, for a checkpoint to keep."""
        return self._store.cursor()

    async def rewind(self, cursor: Cursor) -> None:
        """Go to the state of a checkpoint."""
        self._store.rewind(cursor)
        await self._wake()

    async def compact(self, *, keep_committed: int, before: Cursor | None = None) -> int:
        """Delete old segments whose groups are all trained on; returns the bytes freed."""
        return self._store.compact(keep_committed=keep_committed, before=before)

    async def save_in_flight(self, groups: Sequence[PartialGroup]) -> None:
        """Keep the turns so far of groups that are being sampled."""
        self._store.save_in_flight(groups)

    async def in_flight(self) -> tuple[PartialGroup, ...]:
        """What was saved last, without the groups that were stored since."""
        return self._store.in_flight()

    async def waiting_versions(self) -> tuple[int, ...]:
        """Oldest weight version of every group that waits to be lent."""
        return self._store.waiting_versions()

    async def discard(self, group: TrajectoryGroup, reason: DropReason) -> bool:
        """Store a group that nobody will train on, and count it."""
        return self._store.discard(group, reason)

    async def group_ids(self) -> frozenset[str]:
        """Ids of all groups that were ever appended."""
        return self._store.group_ids()

    async def heartbeat(self) -> None:
        """Answer, which one that hangs does not."""

    async def stats(self) -> StoreStats:
        """How many groups are in which state."""
        return self._store.stats()

    async def close(self) -> None:
        """Seal what is buffered and close the store."""
        self._store.close()

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def _wait(changed: asyncio.Condition, seconds: float) -> None:
    """Wait for a change, or until the time is up."""
    try:
        async with asyncio.timeout(seconds):
            await changed.wait()
    except TimeoutError:
        return

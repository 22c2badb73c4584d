"""Sending weights to samplers one after the other, over a group for each (`nccl`).

A group of its own lets samplers come, go and fail without the others noticing. Who is not in turn
goes on sampling.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Protocol

from redline.learner.meeting import Meeting
from redline.replay.records import WeightReceipt, WeightUpdate


class Sender(Protocol):
    """The learner, which has rank 0 in every group."""

    async def open_channel(self, sampler: str, ranks: int) -> Meeting:
        """Let the workers of a sampler find the first rank."""

    async def send_weights(self, sampler: str, version: int) -> None:
        """Send weights of this version over the channel of a sampler."""


class WeightChannel:
    """The groups of all samplers, opened when they are first needed."""

    def __init__(self, learner: Sender, *, workers: Mapping[str, int], seconds: float) -> None:
        """`workers` of one sampler by its kind, which is its name without the number.

        After `seconds` one gives up waiting for the learner.
        """
        self._learner = learner
        self._workers = workers
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._seats: dict[str, tuple[Any, bytes]] = {}

    async def deliver(self, update: WeightUpdate, name: str, sampler: Any) -> WeightReceipt:
        """Send an update's buckets to a sampler that takes them meanwhile.

        After a failure, and to a sampler that was replaced, the next goes over a new group.
        """
        async with self._turn:
            seat = await self._seat(name, sampler)
            try:
                receipt, _ = await asyncio.gather(
                    sampler.update_weights.remote(update, seat),
                    self._learner.send_weights(name, update.version),
                )
            except BaseException:
                del self._seats[name]
                raise
            return receipt

    async def _seat(self, name: str, sampler: Any) -> bytes:
        """What the workers of a sampler are told, as `redline.actors.gpu_buckets` reads it."""
        known = self._seats.get(name)
        if known is not None and known[0] is sampler:
            return known[1]
        ranks = 1 + self._workers[name.rpartition("-")[0]]
        meeting = await self._learner.open_channel(name, ranks)
        place = {"host": meeting.host, "port": meeting.port, "ranks": ranks}
        seat = json.dumps({**place, "seconds": self._seconds}).encode()
        self._seats[name] = (sampler, seat)
        return seat

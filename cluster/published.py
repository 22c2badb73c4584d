"""A version of the weights that samplers can pull."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from redline.replay.records import WeightReceipt, WeightUpdate


class Channel(Protocol):
    """What sends buckets by itself."""

    async def deliver(self, update: WeightUpdate, name: str, sampler: Any) -> WeightReceipt:
        """Send an update's buckets to a sampler that takes them meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PublishedWeights:
    """An update and where its buckets are; they can be pulled as long as this is held.

    Over the object store any sampler can pull at any time. With `ipc` and `nccl` it is the
    learner's own memory that is read: only until the next step.
    """

    update: WeightUpdate
    contents: Sequence[Any] = ()
    """References to the buckets in the object store, or to what opens them."""
    channel: Channel | None = None
    """Sends the buckets where there are no contents."""

    @property
    def version(self) -> int:
        """Version of the weights."""
        return self.update.version

    async def pull(self, name: str, sampler: Any) -> WeightReceipt:
        """Let the sampler behind an actor's handle take and prove the weights.

        Raises what its answer raises.
        """
        if self.channel is not None:
            return await self.channel.deliver(self.update, name, sampler)
        return await sampler.update_weights.remote(self.update, *self.contents)

"""Ways for the bytes of a bucket to leave the learner's process, one class for each transport.

What every update says of itself (manifest, adapter, probe) is the same for all; `redline.actors`
has the other end of each in `intakes.py` and `gpu_buckets.py`.
"""

import hashlib
import pickle
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Protocol

import torch
import torch.distributed as dist

from redline.learner.meeting import Meeting, Seat
from redline.learner.process_group import open_meeting
from redline.learner.publishing.bucket_layout import BucketLayout, join
from redline.learner.publishing.outgoing import bytes_of
from redline.replay.records import BucketContent, BucketSpec, UInt8
from redline.replay.settings import WeightSettings

_MIB = 2**20


class Outlet(Protocol):
    """One transport's way."""

    transport: str
    bucket_bytes: int

    def hand_out(
        self, layout: BucketLayout, tensors: Iterable[torch.Tensor]
    ) -> tuple[BucketSpec, BucketContent]:
        """The tensors of one bucket as (n,) bytes, or what leads to them."""


class HostOutlet:
    """Bytes in memory, for whoever carries them."""

    transport = "object_store"

    def __init__(self, bucket_bytes: int) -> None:
        self.bucket_bytes = bucket_bytes

    def hand_out(
        self, layout: BucketLayout, tensors: Iterable[torch.Tensor]
    ) -> tuple[BucketSpec, UInt8]:
        """The bucket itself, with its checksum."""
        bucket = join(layout, (bytes_of(tensor).cpu().numpy() for tensor in tensors))
        checksum = hashlib.blake2b(bucket.data, digest_size=16).hexdigest()
        return BucketSpec(nbytes=layout.nbytes, checksum=checksum), bucket


class IpcOutlet:
    """Handles of the learner's own GPU memory: nothing is copied.

    Each tensor is a bucket. The learner must not train until all samplers have read. What the GPU
    still does to a tensor is waited for by the probe, which is scored afterwards.
    """

    transport = "ipc"
    bucket_bytes = 0

    def __init__(self) -> None:
        self._known: dict[str, tuple[torch.Tensor, bytes]] = {}

    def hand_out(
        self, layout: BucketLayout, tensors: Iterable[torch.Tensor]
    ) -> tuple[BucketSpec, bytes]:
        """The handle of the bucket's only tensor."""
        (spec,), (tensor,) = layout.specs, tensors
        raw = bytes_of(tensor)
        known = self._known.get(spec.name)
        if known is None or known[0].data_ptr() != raw.data_ptr():
            known = self._known[spec.name] = raw, export(raw)
        return BucketSpec(nbytes=spec.nbytes, checksum=""), known[1]


def export(raw: torch.Tensor) -> bytes:
    """What another process opens a tensor of this GPU with: the GPU's id and torch's arguments.

    Torch counts each export for good, so one tensor is exported once.
    """
    from torch.multiprocessing.reductions import reduce_tensor

    _, arguments = reduce_tensor(raw)
    gpu = str(torch.cuda.get_device_properties(raw.device).uuid)
    return pickle.dumps((gpu, arguments))


class NcclOutlet:
    """Bytes sent to one sampler at a time, over a group in which the learner is rank 0.

    NCCL between GPUs; between CPUs, where it is of no use but for tests, gloo.
    """

    transport = "nccl"

    def __init__(self, bucket_bytes: int, device: torch.device) -> None:
        self.bucket_bytes = bucket_bytes
        self._device = device
        self._opened: dict[str, tuple[Seat, dist.Store]] = {}
        self._groups: dict[str, Any] = {}

    def open(self, sampler: str, seat: Seat, host: str) -> Meeting:
        """Let the sampler's workers find this process at an address of its machine."""
        meeting, store = open_meeting(seat, host)
        self._opened[sampler] = seat, store
        self._groups.pop(sampler, None)
        return meeting

    def send(self, sampler: str, layout: BucketLayout, tensors: Iterable[torch.Tensor]) -> None:
        """Send one bucket; returns when its tensors may be changed again.

        Raises RuntimeError when the sampler was not let in, or a worker of it did not come in time.
        """
        group = self._group(sampler)
        bucket = torch.zeros(layout.nbytes, dtype=torch.uint8, device=self._device)
        for spec, tensor in zip(layout.specs, tensors, strict=True):
            bucket[spec.offset : spec.offset + spec.nbytes] = bytes_of(tensor)
        group.broadcast(bucket, 0).wait()
        if self._device.type != "cpu":
            torch.cuda.synchronize(self._device)

    def _group(self, sampler: str) -> Any:
        """The group of a sampler; the first time it waits for the sampler's workers."""
        if sampler not in self._opened:
            raise RuntimeError(f"no channel to {sampler} is open: call open_channel() first")
        if sampler not in self._groups:
            seat, store = self._opened[sampler]
            timeout = timedelta(seconds=seat.seconds)
            if self._device.type == "cpu":
                group: Any = dist.ProcessGroupGloo(store, 0, seat.ranks, timeout)
            else:
                options = dist.ProcessGroupNCCL.Options()
                options._timeout = timeout
                group = dist.ProcessGroupNCCL(store, 0, seat.ranks, options)
            self._groups[sampler] = group
        return self._groups[sampler]


def make_outlet(settings: WeightSettings, device: torch.device) -> Outlet | NcclOutlet:
    """The outlet of a transport for weights on `device`."""
    if settings.transport == "ipc":
        return IpcOutlet()
    if settings.transport == "nccl":
        return NcclOutlet(settings.bucket_mib * _MIB, device)
    return HostOutlet(settings.bucket_mib * _MIB)

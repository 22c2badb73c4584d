"""Buckets that never pass through the host (imports torch): the worker's end of `ipc` and `nccl`.

`ipc` opens the memory of another process on the same GPU, as vLLM's own engine of that name does.
`nccl` receives what rank 0, the learner, sends to all workers of a sampler; the group is made on
first use and kept until the learner opens another one.
"""

import json
import pickle
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist


def open_handle(handle: bytes, device: torch.device) -> torch.Tensor:
    """The bytes (n,) that a learner on this worker's GPU shares, in place.

    Raises ValueError when the learner has another GPU.
    """
    from torch.multiprocessing.reductions import rebuild_cuda_tensor

    gpu, arguments = pickle.loads(handle)
    own = str(torch.cuda.get_device_properties(device).uuid)
    if gpu != own:
        raise ValueError(
            f"weights.transport='ipc' needs one GPU for learner and sampler, but the learner has"
            f" {gpu} and this sampler {own}: use 'nccl' or 'object_store'"
        )
    index = torch.cuda.current_device() if device.index is None else device.index
    return rebuild_cuda_tensor(*with_device(arguments, index))


def with_device(arguments: Sequence[Any], index: int) -> list[Any]:
    """The arguments of torch's `rebuild_cuda_tensor` with the number that the GPU has here."""
    own = list(arguments)
    own[6] = index
    return own


class Receiver:
    """A worker's end of the group over which the learner sends."""

    def __init__(self, device: torch.device, worker: int) -> None:
        """`worker` is this one's number among those of its sampler."""
        self._device = device
        self._worker = worker
        self._seat = b""
        self._group: Any = None

    def buckets(self, seat: bytes, sizes: Sequence[int]) -> Iterator[torch.Tensor]:
        """The buckets of one update as they come, each in memory of its own."""
        if seat != self._seat:
            self._group = join_group(json.loads(seat), self._worker, self._device)
            self._seat = seat
        for size in sizes:
            bucket = torch.empty(size, dtype=torch.uint8, device=self._device)
            self._group.broadcast(bucket, 0).wait()
            yield bucket


def join_group(seat: dict[str, Any], worker: int, device: torch.device) -> Any:
    """A group of its own: NCCL between GPUs, gloo between CPUs.

    seat: `host` and `port` of the learner's store, the number of `ranks` (the learner and the
    sampler's workers), and the `seconds` after which waiting for the others is given up.
    """
    timeout = timedelta(seconds=seat["seconds"])
    store = dist.TCPStore(
        seat["host"], seat["port"], seat["ranks"], is_master=False, timeout=timeout
    )
    rank, ranks = 1 + worker, seat["ranks"]
    if device.type == "cpu":
        return dist.ProcessGroupGloo(store, rank, ranks, timeout)
    options = dist.ProcessGroupNCCL.Options()
    options._timeout = timeout
    return dist.ProcessGroupNCCL(store, rank, ranks, options)

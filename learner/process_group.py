"""The process group that DeepSpeed wants: of several ranks, or of one process alone.

Several ranks meet at a store whose port rank 0 binds itself, so nobody can take it before it is
used. A group of one meets in memory.
"""

import os
import socket
from datetime import timedelta

import torch
import torch.distributed as dist

from redline.learner.meeting import Meeting, Seat

_WAITING = 128
"""Connections to the store that may wait to be accepted."""


def open_meeting(seat: Seat, host: str) -> tuple[Meeting, dist.Store]:
    """Let ranks meet at this machine's address `host`; for rank 0, which keeps the store.

    Raises OSError when `host` is no address of this machine.
    """
    listener = socket.socket()
    try:
        listener.bind((host, 0))
        listener.listen(_WAITING)
    except OSError:
        listener.close()
        raise
    meeting = Meeting(host=host, port=listener.getsockname()[1])
    store = dist.TCPStore(
        host,
        meeting.port,
        seat.ranks,
        is_master=True,
        wait_for_workers=False,
        timeout=timedelta(seconds=seat.seconds),
        master_listen_fd=listener.detach(),
    )
    return meeting, store


def find_meeting(seat: Seat, meeting: Meeting) -> dist.Store:
    """Connect to the meeting that rank 0 opened; raises DistNetworkError when it is not there."""
    return dist.TCPStore(
        meeting.host,
        meeting.port,
        seat.ranks,
        is_master=False,
        timeout=timedelta(seconds=seat.seconds),
    )


def join_ranks(seat: Seat, store: dist.Store) -> None:
    """Become one of several ranks, once; raises DistStoreError when another one does not come."""
    if dist.is_initialized():
        return
    _skip_shared_memory_op()
    # Ray shows a rank only its own GPU, which is therefore the first on its machine.
    os.environ.update(RANK=str(seat.rank), LOCAL_RANK="0", WORLD_SIZE=str(seat.ranks))
    dist.init_process_group(
        _backend(),
        store=store,
        rank=seat.rank,
        world_size=seat.ranks,
        timeout=timedelta(seconds=seat.seconds),
    )


def join_process_group() -> None:
    """Let DeepSpeed use the group of this process, which is made where there is none.

    It is the group that a launcher described in the environment, else one of this process alone.
    """
    if not dist.is_initialized():
        launched = "WORLD_SIZE" in os.environ and "MASTER_PORT" in os.environ
        if not launched or os.environ["WORLD_SIZE"] == "1":
            _skip_shared_memory_op()
        if not launched:
            os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")
            dist.init_process_group(_backend(), store=dist.HashStore(), rank=0, world_size=1)
    import deepspeed

    deepspeed.init_distributed(dist_backend=_backend(), auto_mpi_discovery=False, verbose=False)


def _backend() -> str:
    return "nccl" if torch.cuda.is_available() else "gloo"


def _skip_shared_memory_op() -> None:
    """Do without DeepSpeed's op for exchange between ranks: compiling it takes a minute."""
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False

"""The process group that DeepSpeed wants, also for a learner of one process."""

import os

import torch
import torch.distributed as dist


def join_process_group() -> None:
    """Join the group that a launcher described in the environment, else one of this process alone.

    A group of one meets in memory: a free port found for it could be taken by the time it is used.
    """
    if dist.is_initialized():
        return
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    launched = "WORLD_SIZE" in os.environ and "MASTER_PORT" in os.environ
    if not launched or os.environ["WORLD_SIZE"] == "1":
        _skip_shared_memory_op()
    if not launched:
        os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    import deepspeed

    deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)


def _skip_shared_memory_op() -> None:
    """Do without DeepSpeed's op for exchange between ranks: compiling it takes a minute."""
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False

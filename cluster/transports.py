"""Whether weights can travel as configured, known before anything starts."""

from collections.abc import Iterator
from pathlib import Path

from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError

_SLACK = 1e-6


def check_transport(config: RunConfig) -> None:
    """Raise UserError naming the first setting that `weights.transport` cannot go with."""
    for problem in _problems(config):
        raise UserError(
            f"weights.transport={config.weights.transport!r} {problem},"
            " or use weights.transport=object_store"
        )


def has_gpu() -> bool:
    """Whether this machine has a CUDA GPU, asked without loading torch."""
    return any(Path("/dev").glob("nvidia[0-9]*"))


def _problems(config: RunConfig) -> Iterator[str]:
    transport = config.weights.transport
    if transport == "object_store":
        return
    if config.ray.address is None and not has_gpu():
        yield "needs a GPU and this machine has none: run on one that has"
    for key, gpus in (
        ("learner.num_gpus", config.learner.num_gpus),
        ("rollout.num_gpus", config.rollout.num_gpus),
    ):
        if gpus == 0:
            yield f"moves weights between GPUs, but {key}=0: set it above 0"
    yield from _of_ipc(config) if transport == "ipc" else _of_nccl(config)


def _of_ipc(config: RunConfig) -> Iterator[str]:
    learner, rollout = config.learner, config.rollout
    if learner.ranks > 1:
        yield f"is for a learner of one rank, but learner.ranks={learner.ranks}: set it to 1"
    if rollout.engine.tensor_parallel_size > 1:
        yield (
            "is for engines on one GPU, but rollout.engine.tensor_parallel_size="
            f"{rollout.engine.tensor_parallel_size}: set it to 1"
        )
    if learner.deepspeed.zero_stage == 3:
        yield (
            "shares the learner's own tensors, which learner.deepspeed.zero_stage=3 empties: set"
            " it to 2 or less"
        )
    together = learner.num_gpus + rollout.samplers * rollout.num_gpus
    if together > 1 + _SLACK:
        yield (
            "is for one GPU that learner and samplers share, but learner.num_gpus and"
            f" rollout.num_gpus times rollout.samplers are {together:g} together: lower them to"
            " 1 together"
        )


def _of_nccl(config: RunConfig) -> Iterator[str]:
    for key, gpus in (
        ("learner.num_gpus", config.learner.num_gpus),
        ("rollout.num_gpus", config.rollout.num_gpus),
    ):
        if 0 < gpus < 1:
            yield f"wants a whole GPU for each process, but {key}={gpus:g}: set it to 1 or more"

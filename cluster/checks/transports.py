"""Whether weights can travel as configured, known before anything starts."""

from collections.abc import Iterator
from pathlib import Path

from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError
from redline.cluster.sampler_kinds import sampler_kinds

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
    for key, gpus in _gpus(config):
        if gpus == 0:
            yield f"moves weights between GPUs, but {key}=0: set it above 0"
    yield from _of_ipc(config) if transport == "ipc" else _of_nccl(config)


def _gpus(config: RunConfig) -> Iterator[tuple[str, float]]:
    """GPUs of each process that weights go from or to, by the setting."""
    yield "learner.num_gpus", config.learner.num_gpus
    for kind in sampler_kinds(config):
        yield f"{kind.section}.num_gpus", kind.config.rollout.num_gpus


def _of_ipc(config: RunConfig) -> Iterator[str]:
    learner, kinds = config.learner, sampler_kinds(config)
    if learner.ranks > 1:
        yield f"is for a learner of one rank, but learner.ranks={learner.ranks}: set it to 1"
    for kind in kinds:
        if (size := kind.config.rollout.engine.tensor_parallel_size) > 1:
            yield (
                f"is for engines on one GPU, but {kind.section}.engine.tensor_parallel_size={size}:"
                " set it to 1"
            )
    if learner.deepspeed.zero_stage == 3:
        yield (
            "shares the learner's own tensors, which learner.deepspeed.zero_stage=3 empties: set"
            " it to 2 or less"
        )
    rollouts = [kind.config.rollout for kind in kinds]
    together = learner.num_gpus + sum(each.samplers * each.num_gpus for each in rollouts)
    if together > 1 + _SLACK:
        yield (
            "is for one GPU that learner and samplers share, but learner.num_gpus and"
            f" rollout.num_gpus times rollout.samplers are {together:g} together: lower them to"
            " 1 together"
        )


def _of_nccl(config: RunConfig) -> Iterator[str]:
    for key, gpus in _gpus(config):
        if 0 < gpus < 1:
            yield f"wants a whole GPU for each process, but {key}={gpus:g}: set it to 1 or more"

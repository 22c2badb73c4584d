"""What a run needs of a cluster, and whether the cluster has it: asked before anything starts."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError

_ENGINE_GIB = 1.6
"""Resident memory of a CPU engine and its actor without KV cache and weights, as measured."""
_LEARNER_GIB = 1.2
"""Resident memory of a learner without weights, optimizer and activations, as measured."""
_SLACK = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Workers of one kind and what each asks Ray for."""

    kind: str
    count: int
    num_cpus: float
    num_gpus: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one node has free."""

    node: str
    num_cpus: float
    num_gpus: float


def needs_of(config: RunConfig) -> list[Need]:
    """All workers of a run, the largest first."""
    rollout, learner, sandbox = config.rollout, config.learner, config.sandbox
    needs = [
        Need(
            kind="learner",
            count=learner.ranks,
            num_cpus=learner.num_cpus,
            num_gpus=learner.num_gpus,
        ),
        Need(
            kind="sampler",
            count=rollout.samplers,
            num_cpus=rollout.num_cpus,
            num_gpus=rollout.num_gpus,
        ),
        Need(kind="sandbox", count=sandbox.actors, num_cpus=sandbox.num_cpus, num_gpus=0.0),
    ]
    return sorted(needs, key=lambda need: (-need.num_gpus, -need.num_cpus))


def check_placeable(needs: Sequence[Need], offers: Sequence[Offer]) -> None:
    """Raise UserError naming the first kind of worker that finds no place on any node."""
    free = {offer.node: [offer.num_cpus, offer.num_gpus] for offer in offers}
    for need in needs:
        for placed in range(need.count):
            node = next((n for n, left in free.items() if _fits(need, left)), None)
            if node is None:
                raise UserError(_missing(need, placed, needs, offers))
            free[node][0] -= need.num_cpus
            free[node][1] -= need.num_gpus


def check_local(config: RunConfig) -> None:
    """Refuse a run that this machine's CPUs or memory cannot hold, before Ray is started."""
    if config.ray.address is not None:
        return
    cpus = local_cpus(config)
    needs = needs_of(config)
    without_gpus = [
        Need(kind=n.kind, count=n.count, num_cpus=n.num_cpus, num_gpus=0.0) for n in needs
    ]
    check_placeable(without_gpus, [Offer(node="this machine", num_cpus=cpus, num_gpus=0.0)])
    learners = config.learner.ranks if config.learner.num_gpus == 0 else 0
    check_memory(config, samplers=config.rollout.samplers, learners=learners)


def local_cpus(config: RunConfig) -> int:
    """CPUs that a local cluster announces."""
    return config.ray.num_cpus or len(os.sched_getaffinity(0))


def check_memory(config: RunConfig, *, samplers: int, learners: int) -> None:
    """Raise UserError when this machine's free memory does not hold so many more.

    CPU engines and learners share it; GPU ones are checked by the engine.
    """
    engines = samplers if config.rollout.num_gpus == 0 else 0
    cache = config.rollout.engine.kv_cache_gib
    needed = engines * (cache + _ENGINE_GIB) + learners * _LEARNER_GIB
    free = psutil.virtual_memory().available / 2**30
    if needed > free:
        raise UserError(
            f"too little memory: {engines} engines with rollout.engine.kv_cache_gib={cache:g} and "
            f"{learners} learners need about {needed:.1f} GiB, {free:.1f} GiB are free; lower "
            "rollout.engine.kv_cache_gib or rollout.samplers"
        )


def _fits(need: Need, left: Sequence[float]) -> bool:
    return need.num_cpus <= left[0] + _SLACK and need.num_gpus <= left[1] + _SLACK


def _missing(need: Need, placed: int, needs: Sequence[Need], offers: Sequence[Offer]) -> str:
    asked = ", ".join(
        f"{n.count} {n.kind} of {n.num_cpus:g} CPU" + (f" + {n.num_gpus:g} GPU" * (n.num_gpus > 0))
        for n in needs
    )
    nodes = ", ".join(
        f"{o.node}: {o.num_cpus:g} CPU" + (f" + {o.num_gpus:g} GPU" * (o.num_gpus > 0))
        for o in offers
    )
    return (
        f"the cluster has no place for {need.kind} {placed + 1} of {need.count} "
        f"(asked for: {asked}; free: {nodes or 'no node'}); lower the counts or num_cpus and "
        "num_gpus of rollout, learner and sandbox, or add nodes"
    )

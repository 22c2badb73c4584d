"""What a run needs of a cluster, and whether the cluster has it: asked before anything starts."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import psutil

from redline.cluster.config import RunConfig, is_simulated
from redline.cluster.errors import UserError
from redline.cluster.sampler_kinds import SamplerKind, sampler_kinds

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
    resources: dict[str, float] = field(default_factory=dict)
    """Custom Ray resources by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one node has free."""

    node: str
    num_cpus: float
    num_gpus: float
    resources: dict[str, float] = field(default_factory=dict)
    """Custom Ray resources by name."""


def offer_of(node: str, amounts: Mapping[str, float]) -> Offer:
    """A node's offer from its resources as Ray counts them."""
    rest = dict(amounts)
    return Offer(
        node=node, num_cpus=rest.pop("CPU", 0.0), num_gpus=rest.pop("GPU", 0.0), resources=rest
    )


def needs_of(config: RunConfig) -> list[Need]:
    """All workers of a run, the largest first."""
    learner, sandbox = config.learner, config.sandbox
    needs = [
        Need(
            kind="learner",
            count=learner.ranks,
            num_cpus=learner.num_cpus,
            num_gpus=learner.num_gpus,
            resources=dict(learner.resources),
        ),
        *map(_samplers, sampler_kinds(config)),
        Need(
            kind="sandbox",
            count=sandbox.actors,
            num_cpus=sandbox.num_cpus,
            num_gpus=0.0,
            resources=dict(sandbox.resources),
        ),
    ]
    return sorted(needs, key=lambda need: (-need.num_gpus, -need.num_cpus))


def _samplers(kind: SamplerKind) -> Need:
    rollout = kind.config.rollout
    if is_simulated(kind.config):
        return Need(kind=kind.worker, count=rollout.samplers, num_cpus=0.0, num_gpus=0.0)
    return Need(
        kind=kind.worker,
        count=rollout.samplers,
        num_cpus=rollout.num_cpus,
        num_gpus=rollout.num_gpus,
        resources=dict(rollout.resources),
    )


def check_placeable(needs: Sequence[Need], offers: Sequence[Offer]) -> None:
    """Raise UserError naming the first kind of worker that finds no place on any node."""
    free = [_amounts(offer) for offer in offers]
    for need in needs:
        asked = _amounts(need)
        for placed in range(need.count):
            left = next((node for node in free if _fits(asked, node)), None)
            if left is None:
                raise UserError(_missing(need, placed, needs, offers))
            for name, amount in asked.items():
                left[name] = left.get(name, 0.0) - amount


def check_local(config: RunConfig) -> None:
    """Refuse a run that this machine's CPUs or memory cannot hold, before Ray is started."""
    if config.ray.address is not None:
        return
    without_gpus = [replace(need, num_gpus=0.0) for need in needs_of(config)]
    offer = Offer(
        node="this machine",
        num_cpus=local_cpus(config),
        num_gpus=0.0,
        resources=local_resources(config),
    )
    check_placeable(without_gpus, [offer])
    learners = config.learner.ranks if config.learner.num_gpus == 0 else 0
    samplers = {kind.fleet: kind.config.rollout.samplers for kind in sampler_kinds(config)}
    check_memory(config, samplers=samplers, learners=learners)


def local_cpus(config: RunConfig) -> int:
    """CPUs that a local cluster announces."""
    return config.ray.num_cpus or len(os.sched_getaffinity(0))


def local_resources(config: RunConfig) -> dict[str, float]:
    """Custom resources that a local cluster announces: whatever the workers ask for.

    Rounded up, as a node cannot announce a part of one.
    """
    total: dict[str, float] = {}
    for need in needs_of(config):
        for name, amount in need.resources.items():
            total[name] = total.get(name, 0.0) + need.count * amount
    return {name: math.ceil(amount) for name, amount in total.items()}


def check_memory(config: RunConfig, *, samplers: Mapping[str, int], learners: int) -> None:
    """Raise UserError when this machine's free memory does not hold so many more.

    `samplers` is by fleet. CPU engines and learners share it; GPU ones are checked by the engine.
    """
    kinds = [
        kind
        for kind in sampler_kinds(config)
        if kind.config.rollout.num_gpus == 0 and not is_simulated(config)
    ]
    needed, engines = learners * _LEARNER_GIB, []
    for kind in kinds:
        count, cache = samplers.get(kind.fleet, 0), kind.config.rollout.engine.kv_cache_gib
        needed += count * (cache + _ENGINE_GIB)
        engines.append(f"{count} engines with {kind.section}.engine.kv_cache_gib={cache:g}")
    free = psutil.virtual_memory().available / 2**30
    if needed > free:
        raise UserError(
            f"too little memory: {', '.join([*engines, ''])}{learners} learners need about "
            f"{needed:.1f} GiB, {free:.1f} GiB are free; lower kv_cache_gib or samplers of rollout"
        )


def _amounts(side: Need | Offer) -> dict[str, float]:
    return {"CPU": side.num_cpus, "GPU": side.num_gpus, **side.resources}


def _fits(asked: dict[str, float], left: dict[str, float]) -> bool:
    return all(amount <= left.get(name, 0.0) + _SLACK for name, amount in asked.items())


def _missing(need: Need, placed: int, needs: Sequence[Need], offers: Sequence[Offer]) -> str:
    asked = ", ".join(f"{n.count} {n.kind} of {_told(n, ())}" for n in needs)
    custom = sorted({name for n in needs for name in n.resources})
    nodes = ", ".join(f"{offer.node}: {_told(offer, custom)}" for offer in offers)
    return (
        f"the cluster has no place for {need.kind} {placed + 1} of {need.count} "
        f"(asked for: {asked}; free: {nodes or 'no node'}); lower the counts or num_cpus and "
        "num_gpus of rollout, learner and sandbox, or add nodes"
        + f" that announce {' and '.join(need.resources)}"
        * bool(need.resources)
    )


def _told(side: Need | Offer, custom: Sequence[str]) -> str:
    """Amounts as words: CPUs always, of the others what there is; an offer's as asked for."""
    amounts = _amounts(side)
    names = custom if isinstance(side, Offer) else sorted(side.resources)
    shown = ["CPU", *(name for name in ("GPU", *names) if amounts.get(name, 0.0) > 0)]
    return " + ".join(f"{amounts[name]:g} {name}" for name in shown)

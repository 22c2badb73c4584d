"""Making the workers of the rollout side: each a Ray actor with resources of its own."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from redline.actors.batching import BatchingSandboxClient
from redline.actors.sampler import Sampler
from redline.actors.sandbox_actor import SandboxActor
from redline.cluster.checks.resources import Offer, check_memory, needs_of
from redline.cluster.config import RunConfig, is_simulated
from redline.cluster.handles import RaySandboxes, answer
from redline.cluster.launch import CALLS_AT_ONCE, Cluster
from redline.cluster.sampler_kinds import SamplerKind, sampler_kinds
from redline.cluster.simulating import spawn_simulated
from redline.cluster.workers.patience import budget_of, patience_of
from redline.cluster.workers.ports import SamplerWorker
from redline.cluster.workers.ray_workers import RaySampler, RayWorker
from redline.cluster.workers.rollouts import RolloutFleet
from redline.cluster.workers.samplers import ElasticSamplers
from redline.cluster.workers.scaling import Scaler
from redline.cluster.workers.supervisor import Supervisor
from redline.sandbox.settings import limits_of

_SEEDS = 1_000_000
"""Between the seeds of two kinds of samplers."""


def make_rollouts(
    cluster: Cluster,
    config: RunConfig,
    model: str,
    *,
    tell: Callable[[str], None],
    replay: Any = None,
    version: int | None = None,
) -> RolloutFleet:
    """All fleets, their first workers made but not started.

    `replay` is the actor that groups are stored in; None where they are only returned.
    `version` is that of the policy in `model`; None when samplers wait for a push.
    """
    patience, kinds = patience_of(config), sampler_kinds(config)

    def spawn_sampler(kind: SamplerKind, name: str) -> SamplerWorker:
        handles = {m.name: m.worker.handle for m in sandboxes.members}
        actor = _sampler_actor(cluster, kind, model, handles, name=name, version=version)
        return RaySampler(name, actor, replay)

    def supervisor(kind: str, spawn: Callable[[str], Any]) -> Supervisor[Any]:
        budget = budget_of(config.fleet)
        return Supervisor(kind, spawn=spawn, patience=patience, budget=budget, tell=tell)

    sandboxes = supervisor("sandbox", lambda n: RayWorker(n, sandbox_actor(cluster, config, n)))
    spawns = {k.worker: _simulated(k.config, replay) or partial(spawn_sampler, k) for k in kinds}
    samplers = ElasticSamplers(
        [supervisor(*spawn) for spawn in spawns.items()],
        attempts=config.fleet.group_attempts,
        push_seconds=config.deadlines.push,
        proven=version,
        turns_every=config.fleet.turns_every,
    )
    sandboxes.open(config.sandbox.actors)
    for kind, fleet in zip(kinds, samplers.fleets, strict=True):
        fleet.share = kind.config.rollout.share
        fleet.open(kind.config.rollout.samplers)
    return RolloutFleet(samplers, sandboxes, names=[kind.fleet for kind in kinds])


def _simulated(config: RunConfig, replay: Any) -> Callable[[str], SamplerWorker] | None:
    if not is_simulated(config):
        return None
    return spawn_simulated(
        config, lambda group: answer("replay store", replay.append.remote(group))
    )


def make_scaler(
    rollouts: RolloutFleet, cluster: Cluster, config: RunConfig, *, tell: Callable[[str], None]
) -> Scaler:
    """Who changes how many workers of a run there are."""

    async def offers() -> list[Offer]:
        return await asyncio.to_thread(cluster.offers)

    def fits(samplers: Mapping[str, int]) -> None:
        if config.ray.address is None:
            check_memory(config, samplers=samplers, learners=0)

    kinds = {need.kind: need for need in needs_of(config)}
    return Scaler(
        rollouts,
        needs={name: kinds[fleet.kind] for name, fleet in rollouts.fleets.items()},
        offers=offers,
        fits=fits,
        tell=tell,
    )


def sandbox_actor(cluster: Cluster, config: RunConfig, name: str) -> Any:
    """Make a sandbox actor; returns its handle at once."""
    return cluster.actor(
        SandboxActor,
        name=name,
        num_cpus=config.sandbox.num_cpus,
        resources=config.sandbox.resources,
        concurrency=CALLS_AT_ONCE,
        arguments={"settings": config.sandbox, "name": name},
    )


def _sampler_actor(
    cluster: Cluster,
    kind: SamplerKind,
    model: str,
    sandboxes: dict[str, Any],
    *,
    name: str,
    version: int | None,
) -> Any:
    config, number = kind.config, int(name.rpartition("-")[2])
    return cluster.actor(
        Sampler,
        name=name,
        num_cpus=config.rollout.num_cpus,
        num_gpus=config.rollout.num_gpus,
        resources=config.rollout.resources,
        threads=config.rollout.engine.omp_threads,
        concurrency=CALLS_AT_ONCE,
        arguments={
            "model_path": model,
            "rollout": config.rollout,
            "sandbox": BatchingSandboxClient(
                RaySandboxes(sandboxes, client=name, patience=config.deadlines.start)
            ),
            "prompts": config.prompt,
            "rewards": config.reward,
            "limits": limits_of(config.sandbox),
            "name": name,
            "seed": config.seed * 1000 + number + kind.place * _SEEDS,
            "version": version,
        },
    )

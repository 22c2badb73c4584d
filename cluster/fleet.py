"""The workers of a run: started in parallel, each wait with a deadline, ended in order."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from redline.actors.batching import BatchingSandboxClient
from redline.actors.replay_actor import ReplayActor
from redline.actors.sampler import Sampler
from redline.actors.sandbox_actor import SandboxActor
from redline.cluster.config import RunConfig, is_simulated
from redline.cluster.errors import WorkFailed
from redline.cluster.handles import RaySamplers, RaySandboxes, RayStore, answer
from redline.cluster.isolation import RunIsolation
from redline.cluster.launch import Cluster
from redline.cluster.learner_handle import RayLearner, start_learner
from redline.cluster.progress import Phase
from redline.cluster.simulating import SimulatedSamplers, simulated_samplers
from redline.cluster.weight_channel import WeightChannel
from redline.sandbox.client import SandboxClient
from redline.sandbox.settings import limits_of

_CALLS_AT_ONCE = 10_000
"""Concurrent calls of an asynchronous actor: more than there are groups or requests."""


@dataclass(slots=True, kw_only=True)
class Workers:
    """Workers with sandboxes among them."""

    isolation: RunIsolation
    closing: dict[str, Any]
    """Handles of the workers that want to be told of the end, by name."""

    async def close(self, seconds: float) -> None:
        """Let every worker end what it started; those that are late are left to be killed."""
        calls = [_quietly(handle.close.remote()) for handle in self.closing.values()]
        await asyncio.wait([asyncio.ensure_future(call) for call in calls], timeout=seconds)


@dataclass(slots=True, kw_only=True)
class Sandboxes(Workers):
    """Sandboxes alone."""

    client: SandboxClient


@dataclass(slots=True, kw_only=True)
class Rollouts(Workers):
    """The rollout side: samplers and the sandboxes behind them."""

    samplers: RaySamplers | SimulatedSamplers


@dataclass(slots=True, kw_only=True)
class Fleet(Rollouts):
    """All workers of a training run."""

    store: RayStore
    learner: RayLearner


async def start_fleet(
    cluster: Cluster, config: RunConfig, *, model: str, replay: str, phase: Phase
) -> Fleet:
    """Start all workers at once and wait for each; raises WorkFailed naming who failed.

    Their imports take most of the time, so nothing waits for anything that it does not need.
    The samplers serve nothing until they were given proven weights.
    """
    learner = _make_learner(cluster, config, model)
    store = _start_store(cluster, config, replay)
    sandboxes = _start_sandboxes(cluster, config)
    samplers = (
        {}
        if is_simulated(config)
        else _start_samplers(cluster, config, model, list(sandboxes.values()), version=None)
    )
    others = {**samplers, **sandboxes}
    starts = {name: handle.start.remote() for name, handle in others.items()}
    starts |= {
        "learner": start_learner(learner, config.deadlines.start),
        "replay": store.stats.remote(),
    }
    ready = await _all_ready(starts, config.deadlines.start, phase)
    return Fleet(
        samplers=RaySamplers(samplers, store) if samplers else _simulated(config, store),
        isolation=RunIsolation.of([ready[name] for name in sandboxes]),
        store=RayStore(store, keep_committed=config.replay.keep_committed),
        learner=_learner_handle(learner, config),
        closing={"replay": store, **others},
    )


async def start_samplers_only(
    cluster: Cluster, config: RunConfig, *, model: str, phase: Phase
) -> Rollouts:
    """Start samplers that serve the model as it is, for an evaluation by itself."""
    sandboxes = _start_sandboxes(cluster, config)
    samplers = _start_samplers(cluster, config, model, list(sandboxes.values()), version=0)
    others = {**samplers, **sandboxes}
    starts = {name: handle.start.remote() for name, handle in others.items()}
    ready = await _all_ready(starts, config.deadlines.start, phase)
    return Rollouts(
        samplers=RaySamplers(samplers, None),
        isolation=RunIsolation.of([ready[name] for name in sandboxes]),
        closing=others,
    )


async def start_sandboxes_only(
    cluster: Cluster, config: RunConfig, *, client: str, phase: Phase
) -> Sandboxes:
    """Start sandboxes for one client, which asks them itself."""
    handles = _start_sandboxes(cluster, config)
    starts = {name: handle.start.remote() for name, handle in handles.items()}
    ready = await _all_ready(starts, config.deadlines.start, phase)
    return Sandboxes(
        client=BatchingSandboxClient(RaySandboxes(list(handles.values()), client=client)),
        isolation=RunIsolation.of(list(ready.values())),
        closing=handles,
    )


def _simulated(config: RunConfig, store: Any) -> SimulatedSamplers:
    return simulated_samplers(
        config, lambda group: answer("replay store", store.append.remote(group))
    )


def _make_learner(cluster: Cluster, config: RunConfig, model: str) -> dict[str, Any]:
    """The ranks of the learner by name, rank 0 first."""
    from redline.learner.learner import Learner

    ranks = config.learner.ranks
    names = ["learner"] if ranks == 1 else [f"learner-{rank}" for rank in range(ranks)]
    return {
        name: cluster.actor(
            Learner,
            name=name,
            num_cpus=config.learner.num_cpus,
            num_gpus=config.learner.num_gpus,
            resources=config.learner.resources,
            threads=config.learner.threads,
            arguments={
                "model_path": model,
                "settings": config.learner,
                "temperature": config.rollout.sampling.temperature,
                "top_p": config.rollout.sampling.top_p,
                "grammar": config.rollout.sampling.grammar,
                "seed": config.seed,
                "weights": config.weights,
                "rank": rank,
                "seconds": max(config.deadlines.start, config.deadlines.step),
            },
        )
        for rank, name in enumerate(names)
    }


def _learner_handle(handles: dict[str, Any], config: RunConfig) -> RayLearner:
    learner = RayLearner(handles, config.deadlines)
    if config.weights.transport == "nccl":
        workers = config.rollout.engine.tensor_parallel_size
        seconds = config.deadlines.push
        learner.channel = WeightChannel(learner, workers=workers, seconds=seconds)
    return learner


def _start_store(cluster: Cluster, config: RunConfig, path: str) -> Any:
    return cluster.actor(
        ReplayActor,
        name="replay",
        num_cpus=0,
        concurrency=_CALLS_AT_ONCE,
        beside_driver=True,
        arguments={"path": path, "settings": config.replay},
    )


def _start_sandboxes(cluster: Cluster, config: RunConfig) -> dict[str, Any]:
    return {
        name: cluster.actor(
            SandboxActor,
            name=name,
            num_cpus=config.sandbox.num_cpus,
            resources=config.sandbox.resources,
            concurrency=_CALLS_AT_ONCE,
            arguments={"settings": config.sandbox, "name": name},
        )
        for name in (f"sandbox-{number}" for number in range(config.sandbox.actors))
    }


def _start_samplers(
    cluster: Cluster, config: RunConfig, model: str, sandboxes: list[Any], *, version: int | None
) -> dict[str, Any]:
    return {
        f"sampler-{number}": cluster.actor(
            Sampler,
            name=f"sampler-{number}",
            num_cpus=config.rollout.num_cpus,
            num_gpus=config.rollout.num_gpus,
            resources=config.rollout.resources,
            threads=config.rollout.engine.omp_threads,
            concurrency=_CALLS_AT_ONCE,
            arguments={
                "model_path": model,
                "rollout": config.rollout,
                "sandbox": BatchingSandboxClient(
                    RaySandboxes(sandboxes, client=f"sampler-{number}")
                ),
                "prompts": config.prompt,
                "rewards": config.reward,
                "limits": limits_of(config.sandbox),
                "name": f"sampler-{number}",
                "seed": config.seed * 1000 + number,
                "version": version,
            },
        )
        for number in range(config.rollout.samplers)
    }


async def _all_ready(
    calls: dict[str, Awaitable[Any]], seconds: float, phase: Phase
) -> dict[str, Any]:
    """Wait for all starts and return what each told; the first failure or the deadline ends it."""
    told = {}
    waiting = {asyncio.ensure_future(answer(name, call)): name for name, call in calls.items()}
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        while waiting:
            phase.wait_for(sorted(waiting.values()))
            left = deadline - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait(
                waiting, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                names = ", ".join(sorted(waiting.values()))
                raise WorkFailed(f"{names}: not started after {seconds:.0f} s (deadlines.start)")
            for task in done:
                told[waiting.pop(task)] = task.result()
    finally:
        for task in waiting:
            task.cancel()
    return told


async def _quietly(call: Awaitable[Any]) -> None:
    """Await a worker that is being ended anyway."""
    try:
        await answer("", call)
    except WorkFailed:
        return

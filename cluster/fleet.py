"""The workers of a run: started in parallel, each wait with a deadline, ended in order."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from redline.actors.batching import BatchingSandboxClient
from redline.actors.replay_actor import ReplayActor
from redline.cluster.config import RunConfig
from redline.cluster.deadlines import first_of
from redline.cluster.display.progress import Phase, Progress
from redline.cluster.errors import WorkFailed
from redline.cluster.handles import RaySandboxes, RayStore, answer
from redline.cluster.isolation import RunIsolation
from redline.cluster.launch import CALLS_AT_ONCE, Cluster
from redline.cluster.learner_handle import RayLearner, start_learner
from redline.cluster.monitoring.definitions import Role
from redline.cluster.sampler_kinds import sampler_kinds
from redline.cluster.weight_channel import WeightChannel
from redline.cluster.workers.making import make_rollouts, make_scaler, sandbox_actor
from redline.cluster.workers.rollouts import RolloutFleet
from redline.cluster.workers.samplers import ElasticSamplers
from redline.cluster.workers.scaling import Scaler
from redline.sandbox.client import SandboxClient


@dataclass(slots=True, kw_only=True)
class Sandboxes:
    """Sandboxes alone, not watched: their client does without those that are lost."""

    isolation: RunIsolation
    client: SandboxClient
    closing: dict[str, Any]
    """Handles of the actors, by name."""

    async def close(self, seconds: float) -> None:
        """Let every worker end what it started; those that are late are left to be killed."""
        await _close_all(self.closing, seconds)


@dataclass(slots=True, kw_only=True)
class Rollouts:
    """The rollout side: samplers and the sandboxes behind them."""

    rollouts: RolloutFleet

    @property
    def isolation(self) -> RunIsolation:
        """Of all sandboxes that were started so far, those that are gone included."""
        return RunIsolation.of(self.rollouts.sandbox_starts)

    @property
    def samplers(self) -> ElasticSamplers:
        """All samplers together."""
        return self.rollouts.samplers

    @property
    def closing(self) -> dict[str, Any]:
        """Handles of the workers that are there now and want to be told of the end, by name."""
        return self.rollouts.handles

    def restarts(self) -> dict[Role, int]:
        """Workers that were replaced so far."""
        found: Counter[Role] = Counter()
        for fleet in self.rollouts.fleets.values():
            found[Role(fleet.kind.partition("-")[0])] += fleet.replaced
        return found

    async def close(self, seconds: float) -> None:
        """Let every worker end what it started; those that are late are left to be killed."""
        await self.rollouts.close()
        await _close_all(self.closing, seconds)


@dataclass(slots=True, kw_only=True)
class Fleet(Rollouts):
    """All workers of a training run."""

    store: RayStore
    learner: RayLearner
    scaler: Scaler
    heartbeat_every: float
    """Seconds between two heartbeats of the store, and of a rank of the learner."""

    @property
    def closing(self) -> dict[str, Any]:
        """As above, and the store."""
        return {"replay": self.store.handle, **self.rollouts.handles}

    async def failure(self) -> str:
        """Wait until the run cannot go on for want of a worker; returns why."""
        every = self.heartbeat_every
        return await first_of(
            self.rollouts.failure(), self.store.failure(every), self.learner.failure(every)
        )


async def start_fleet(
    cluster: Cluster, config: RunConfig, *, model: str, replay: str, progress: Progress
) -> Fleet:
    """Start all workers at once and wait for each; raises WorkFailed naming who failed.

    Their imports take most of the time, so nothing waits for anything that it does not need.
    The samplers serve nothing until they were given proven weights.
    """
    learner = _make_learner(cluster, config, model)
    store = _start_store(cluster, config, replay)
    rollouts = make_rollouts(cluster, config, model, replay=store, tell=progress.say)
    others = {
        "learner": start_learner(learner, config.deadlines.start),
        "replay": store.stats.remote(),
    }
    await _start_rollouts(rollouts, config, progress, others)
    return Fleet(
        rollouts=rollouts,
        store=RayStore(
            store,
            keep_committed=config.replay.keep_committed,
            seconds=config.deadlines.store,
        ),
        learner=_learner_handle(learner, config),
        scaler=make_scaler(rollouts, cluster, config, tell=progress.say),
        heartbeat_every=config.fleet.heartbeat_every,
    )


async def start_samplers_only(
    cluster: Cluster, config: RunConfig, *, model: str, progress: Progress
) -> Rollouts:
    """Start samplers that serve the model as it is, for an evaluation by itself."""
    rollouts = make_rollouts(cluster, config, model, version=0, tell=progress.say)
    await _start_rollouts(rollouts, config, progress, {})
    return Rollouts(rollouts=rollouts)


async def start_sandboxes_only(
    cluster: Cluster, config: RunConfig, *, client: str, phase: Phase
) -> Sandboxes:
    """Start sandboxes for one client, which asks them itself."""
    names = [f"sandbox-{number}" for number in range(config.sandbox.actors)]
    handles = {name: sandbox_actor(cluster, config, name) for name in names}
    starts = {name: handle.start.remote() for name, handle in handles.items()}
    ready = await _all_ready(starts, config.deadlines.start, phase)
    return Sandboxes(
        client=BatchingSandboxClient(RaySandboxes(handles, client=client)),
        isolation=RunIsolation.of(list(ready.values())),
        closing=handles,
    )


async def _start_rollouts(
    rollouts: RolloutFleet,
    config: RunConfig,
    progress: Progress,
    others: dict[str, Awaitable[Any]],
) -> None:
    """Start the first workers, and `others` with them."""
    members = {m.name: m for fleet in rollouts.fleets.values() for m in fleet.members}
    starts = {name: member.worker.start() for name, member in members.items()}
    with progress.phase("starting workers") as phase:
        ready = await _all_ready({**starts, **others}, config.deadlines.start, phase)
    for name, member in members.items():
        member.told = ready[name]
    rollouts.run()


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
            own_heart=True,
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
        workers = {
            kind.worker: kind.config.rollout.engine.tensor_parallel_size
            for kind in sampler_kinds(config)
        }
        seconds = config.deadlines.push
        learner.channel = WeightChannel(learner, workers=workers, seconds=seconds)
    return learner


def _start_store(cluster: Cluster, config: RunConfig, path: str) -> Any:
    return cluster.actor(
        ReplayActor,
        name="replay",
        num_cpus=0,
        concurrency=CALLS_AT_ONCE,
        beside_driver=True,
        arguments={"path": path, "settings": config.replay},
    )


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


async def _close_all(handles: dict[str, Any], seconds: float) -> None:
    """Ask all to end what they started, and wait so long for it."""
    calls = [asyncio.ensure_future(_quietly(handle.close.remote())) for handle in handles.values()]
    if calls:
        await asyncio.wait(calls, timeout=seconds)


async def _quietly(call: Awaitable[Any]) -> None:
    """Await a worker that is being ended anyway."""
    try:
        await answer("", call)
    except WorkFailed:
        return

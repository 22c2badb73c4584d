"""Simulated samplers: workers of a fleet that live in this process and need no model."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from redline.actors.recording import Recording
from redline.actors.simulated import SimulatedSampler
from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError, one_line
from redline.cluster.published import PublishedWeights
from redline.cluster.sampler_kinds import sampler_kinds
from redline.cluster.workers.patience import budget_of, patience_of
from redline.cluster.workers.ports import SamplerWorker
from redline.cluster.workers.samplers import ElasticSamplers
from redline.cluster.workers.supervisor import Supervisor
from redline.dsl.tasks import RepairTask
from redline.replay.errors import ReplayError
from redline.replay.records import PartialGroup, TrajectoryGroup, WeightReceipt

_log = logging.getLogger(__name__)
Append = Callable[[TrajectoryGroup], Awaitable[object]]
"""Stores a group."""


def read_recording(config: RunConfig) -> Recording | None:
    """What the run's simulated samplers play, or None; UserError when it cannot be read."""
    source = config.rollout.simulation.source
    if source is None:
        return None
    try:
        return Recording.read(source)
    except ReplayError as error:
        raise UserError(f"rollout.simulation.source: {one_line(error)}") from error


class SimulatedWorker:
    """A sampler without a model; what it plays is stored by `append`."""

    handle: Any = None
    """No actor is behind it."""

    def __init__(self, sampler: SimulatedSampler, append: Append) -> None:
        self.name = sampler.name
        self._sampler = sampler
        self._append = append

    async def start(self) -> str:
        """Nothing has to be started."""
        return self.name

    async def heartbeat(self) -> None:
        """It lives as long as this process."""

    async def end(self, seconds: float) -> None:
        """It has nothing to end."""

    async def roll_out(
        self, task: RepairTask, group_id: str, begun: PartialGroup | None = None
    ) -> None:
        """Play a group and store it."""
        await self._append(await self._sampler.sample_group(task, group_id=group_id, begun=begun))

    async def in_flight(self) -> tuple[PartialGroup, ...]:
        """Every group that is being played."""
        return await self._sampler.in_flight()

    async def sample_group(
        self, task: RepairTask, *, group_id: str, **settings: object
    ) -> TrajectoryGroup:
        """Play a group as it was recorded, whatever the settings."""
        return await self._sampler.sample_group(task, group_id=group_id)

    async def update_weights(self, published: PublishedWeights) -> WeightReceipt:
        """Serve a version."""
        return await self._sampler.update_weights(published.update)

    async def use_sandboxes(self, sandboxes: Mapping[str, Any]) -> None:
        """Nothing is executed."""


def spawn_simulated(config: RunConfig, append: Append) -> Callable[[str], SamplerWorker]:
    """What makes the simulated samplers of a run, by name."""
    recording = read_recording(config)
    if recording is None:
        raise ValueError("rollout.simulation.source is null: the run has real samplers")

    def spawn(name: str) -> SamplerWorker:
        sampler = SimulatedSampler(
            recording=recording, rollout=config.rollout, name=name, seed=config.seed
        )
        return SimulatedWorker(sampler, append)

    return spawn


async def start_simulated(config: RunConfig, append: Append) -> ElasticSamplers:
    """All samplers of a run in this process, without a cluster; they wait for a first push."""
    kinds = sampler_kinds(config)
    samplers = ElasticSamplers(
        [
            Supervisor(
                kind.worker,
                spawn=spawn_simulated(kind.config, append),
                patience=patience_of(config),
                budget=budget_of(config.fleet),
                tell=_log.warning,
            )
            for kind in kinds
        ],
        attempts=config.fleet.group_attempts,
        push_seconds=config.deadlines.push,
        turns_every=config.fleet.turns_every,
    )
    for kind, fleet in zip(kinds, samplers.fleets, strict=True):
        fleet.admit, fleet.share = samplers.admit, kind.config.rollout.share
        for member in fleet.open(kind.config.rollout.samplers):
            member.told = await member.worker.start()
        fleet.run()
    return samplers

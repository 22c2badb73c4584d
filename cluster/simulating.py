"""Simulated samplers behind the controller's port, as many as are asked for, in this process."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from redline.actors.evaluation import GroupSampler
from redline.actors.recording import Recording
from redline.actors.simulated import SimulatedSampler
from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError, one_line
from redline.dsl.tasks import RepairTask
from redline.replay.errors import ReplayError
from redline.replay.records import PartialGroup, TrajectoryGroup, WeightReceipt, WeightUpdate

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


def simulated_samplers(config: RunConfig, append: Append) -> "SimulatedSamplers":
    """All samplers of a run, without a model."""
    recording = read_recording(config)
    if recording is None:
        raise ValueError("rollout.simulation.source is null: the run has real samplers")
    return SimulatedSamplers(
        [
            SimulatedSampler(
                recording=recording,
                rollout=config.rollout,
                name=f"sampler-{number}",
                seed=config.seed,
            )
            for number in range(config.rollout.samplers)
        ],
        append,
    )


class SimulatedSamplers:
    """Gives each group to the least busy sampler, as the real fleet does."""

    def __init__(self, samplers: Sequence[SimulatedSampler], append: Append) -> None:
        self._samplers = samplers
        self._groups = [0] * len(samplers)
        self._append = append

    async def roll_out(
        self, task: RepairTask, group_id: str, begun: PartialGroup | None = None
    ) -> None:
        """Play a group and store it."""
        index = min(range(len(self._groups)), key=self._groups.__getitem__)
        self._groups[index] += 1
        try:
            sampler = self._samplers[index]
            await self._append(await sampler.sample_group(task, group_id=group_id, begun=begun))
        finally:
            self._groups[index] -= 1

    async def in_flight(self) -> list[PartialGroup]:
        """Every group that is being played."""
        told = await asyncio.gather(*(sampler.in_flight() for sampler in self._samplers))
        return [group for groups in told for group in groups]

    async def push(self, update: WeightUpdate) -> list[WeightReceipt]:
        """Let every sampler serve a version."""
        pushes = [sampler.update_weights(update) for sampler in self._samplers]
        return list(await asyncio.gather(*pushes))

    def each(self) -> list[GroupSampler]:
        """None: simulated samplers cannot be evaluated."""
        return []

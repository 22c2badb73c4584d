"""A sampler without a model: recorded episodes, played again in their own time.

It has the calls that the controller's samplers need, so that controller, store and learner's input
can be driven at a scale for which there are no engines. Which episodes a group gets is a function
of the seed and of the group's id alone.
"""

import asyncio
import random
from dataclasses import replace

import numpy as np

from redline.actors.errors import EngineError
from redline.actors.in_flight import LiveEpisode, LiveGroup
from redline.actors.recording import Recording
from redline.actors.settings import RolloutSettings
from redline.dsl.tasks import RepairTask
from redline.replay.records import (
    PartialGroup,
    Trajectory,
    TrajectoryGroup,
    Turn,
    WeightReceipt,
    WeightUpdate,
)


class SimulatedSampler:
    """Plays groups of recorded episodes; tokens carry the version that is served meanwhile.

    version: version that is served; None until the first update.
    """

    def __init__(
        self,
        *,
        recording: Recording,
        rollout: RolloutSettings,
        name: str = "sampler-0",
        seed: int = 0,
        version: int | None = None,
    ) -> None:
        self.name = name
        self._recording = recording
        self._rollout = rollout
        self._seed = seed
        self._version = version
        self._slots = asyncio.Semaphore(rollout.concurrent_episodes)
        self._live: dict[str, LiveGroup] = {}

    async def sample_group(
        self, task: RepairTask, *, group_id: str, begun: PartialGroup | None = None
    ) -> TrajectoryGroup:
        """Play the episodes of one group; those of `begun` go on from where they are.

        Raises EngineError before the first weights came.
        """
        if self._version is None:
            raise EngineError(f"sampler {self.name} holds no weights yet: push a version first")
        recorded = self.draw(group_id)
        live = self._live[group_id] = LiveGroup(group_id, task, self.name, begun)
        try:
            plays = [self._play(live, index, played) for index, played in enumerate(recorded)]
            trajectories = await asyncio.gather(*plays)
        finally:
            del self._live[group_id]
        return TrajectoryGroup(
            group_id=group_id, task_id=task.task_id, trajectories=tuple(trajectories)
        )

    def draw(self, group_id: str) -> list[Trajectory]:
        """The recorded episodes that a group is to be."""
        rng = random.Random(f"{self._seed}/{group_id}")
        return self._recording.draw(rng, self._rollout.group_size)

    async def update_weights(self, update: WeightUpdate) -> WeightReceipt:
        """Serve a version; there is nothing to prove, so the receipt tells no difference."""
        self._version = update.version
        return WeightReceipt(
            worker=self.name, version=update.version, max_abs_dlogp=0.0, pause_ms=0.0, total_ms=0.0
        )

    async def in_flight(self) -> tuple[PartialGroup, ...]:
        """Every group that is being played, as far as it is."""
        return tuple(group.so_far() for group in self._live.values())

    async def _play(self, group: LiveGroup, index: int, recorded: Trajectory) -> Trajectory:
        """Take the turns of a recorded episode, each in its share of the recorded time."""
        if index in group.ended:
            return group.ended[index]
        episode = group.episode(index)
        seconds = recorded.seconds / self._rollout.simulation.speed
        share = seconds / max(1, sum(len(turn.action_token_ids) for turn in recorded.turns))
        async with self._slots:
            episode.start()
            for turn in recorded.turns[len(episode.turns) :]:
                episode.next_state = turn.state_token_ids
                await asyncio.sleep(share * len(turn.action_token_ids))
                self._take(episode, turn)
        return group.keep(
            replace(
                recorded,
                trajectory_id=f"{group.group_id}/{index}",
                group_id=group.group_id,
                sample_index=index,
                task_id=group.task_id,
                turns=tuple(episode.turns),
                worker=self.name,
                seconds=episode.spent,
            )
        )

    def _take(self, episode: LiveEpisode, turn: Turn) -> None:
        versions = np.full(len(turn.action_token_ids), self._version, dtype=np.int32)
        episode.turns.append(replace(turn, weight_versions=versions))

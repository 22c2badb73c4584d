"""Groups while they are sampled: what a sampler can tell of them when the run is saved.

An episode writes its turns down as they happen. So at any moment the sampler knows the turns of
every episode that has not ended, and whoever is given them (itself, or another sampler in a resumed
run) goes on from there.
"""

import time
from dataclasses import dataclass, field

from redline.dsl.tasks import RepairTask
from redline.replay.records import (
    EpisodeSoFar,
    Int32,
    PartialGroup,
    Trajectory,
    TrajectoryStatus,
    Turn,
)


@dataclass(slots=True, kw_only=True)
class LiveEpisode:
    """The turns of an episode up to now, and the state that waits for an action."""

    turns: list[Turn] = field(default_factory=list)
    next_state: Int32 | None = None
    """None before the first state."""
    seconds: float = 0.0
    """Spent on it before, in an earlier attempt at the run."""
    _began: float | None = None

    def start(self) -> None:
        """Its time runs from now on."""
        self._began = time.perf_counter()

    @property
    def spent(self) -> float:
        """Seconds spent on it until now, by all attempts at the run."""
        now = time.perf_counter()
        return self.seconds + (0.0 if self._began is None else now - self._began)


class LiveGroup:
    """A group that is being sampled."""

    def __init__(
        self, group_id: str, task: RepairTask, worker: str, begun: PartialGroup | None = None
    ) -> None:
        """`begun` has the episodes of an earlier attempt at the run, ended or not."""
        self.group_id = group_id
        self.task_id = task.task_id
        self._task = task
        self._worker = worker
        self.ended: dict[int, Trajectory] = {}
        self._running: dict[int, LiveEpisode] = {}
        if begun is not None:
            self.ended = {t.sample_index: t for t in begun.ended}
            self._running = {e.trajectory.sample_index: _revived(e) for e in begun.running}

    def episode(self, index: int) -> LiveEpisode:
        """The episode with this number in the group, begun now or before."""
        return self._running.setdefault(index, LiveEpisode())

    def keep(self, trajectory: Trajectory) -> Trajectory:
        """An episode ended; returns it."""
        self._running.pop(trajectory.sample_index, None)
        self.ended[trajectory.sample_index] = trajectory
        return trajectory

    def so_far(self) -> PartialGroup:
        """Every episode that has a turn, as it is now."""
        return PartialGroup(
            group_id=self.group_id,
            task_id=self.task_id,
            ended=tuple(self.ended[index] for index in sorted(self.ended)),
            running=tuple(
                self._so_far(index, episode, episode.next_state)
                for index, episode in sorted(self._running.items())
                if episode.turns and episode.next_state is not None
            ),
        )

    def _so_far(self, index: int, episode: LiveEpisode, state: Int32) -> EpisodeSoFar:
        trajectory = Trajectory(
            trajectory_id=f"{self.group_id}/{index}",
            group_id=self.group_id,
            sample_index=index,
            task_id=self.task_id,
            initial_program=self._task.broken,
            turns=tuple(episode.turns),
            status=TrajectoryStatus.ABORTED,
            solved=False,
            worker=self._worker,
            seconds=episode.spent,
        )
        return EpisodeSoFar(trajectory=trajectory, next_state=state)


def _revived(episode: EpisodeSoFar) -> LiveEpisode:
    return LiveEpisode(
        turns=list(episode.trajectory.turns),
        next_state=episode.next_state,
        seconds=episode.trajectory.seconds,
    )

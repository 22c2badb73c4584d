"""Groups while they are sampled: what a sampler can tell of them when the run is saved.

An episode writes its turns down as they happen. So at any moment the sampler knows the turns of
every episode that has not ended, and whoever is given them (itself, or another sampler in a resumed
run) goes on from there.
"""

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


class LiveGroup:
    """A group that is being sampled."""

    def __init__(
        self, group_id: str, task: RepairTask, worker: str, begun: PartialGroup | None = None
    ) -> None:
        """`begun` has the episodes of an earlier attempt at the run, ended or not."""
        self.group_id = group_id
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

    def end(
        self,
        index: int,
        *,
        status: TrajectoryStatus,
        solved: bool,
        seconds: float,
        program: str | None = None,
    ) -> Trajectory:
        """An episode ended; returns all of it. `program` is what it began with, if not the task's.

        `seconds` are those of this attempt at the run.
        """
        episode = self._running.pop(index)
        trajectory = self._trajectory(
            index,
            episode,
            status=status,
            solved=solved,
            seconds=episode.seconds + seconds,
            program=program,
        )
        self.ended[index] = trajectory
        return trajectory

    def so_far(self) -> PartialGroup:
        """Every episode that has a turn, as it is now."""
        running = [
            EpisodeSoFar(trajectory=self._trajectory(index, episode), next_state=episode.next_state)
            for index, episode in sorted(self._running.items())
            if episode.turns and episode.next_state is not None
        ]
        return PartialGroup(
            group_id=self.group_id,
            task_id=self._task.task_id,
            ended=tuple(self.ended[index] for index in sorted(self.ended)),
            running=tuple(running),
        )

    def _trajectory(
        self,
        index: int,
        episode: LiveEpisode,
        *,
        status: TrajectoryStatus = TrajectoryStatus.ABORTED,
        solved: bool = False,
        seconds: float | None = None,
        program: str | None = None,
    ) -> Trajectory:
        return Trajectory(
            trajectory_id=f"{self.group_id}/{index}",
            group_id=self.group_id,
            sample_index=index,
            task_id=self._task.task_id,
            initial_program=self._task.broken if program is None else program,
            turns=tuple(episode.turns),
            status=status,
            solved=solved,
            worker=self._worker,
            seconds=episode.seconds if seconds is None else seconds,
        )


def _revived(episode: EpisodeSoFar) -> LiveEpisode:
    return LiveEpisode(
        turns=list(episode.trajectory.turns),
        next_state=episode.next_state,
        seconds=episode.trajectory.seconds,
    )

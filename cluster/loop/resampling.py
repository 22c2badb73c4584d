"""Groups without a signal, replaced by others before the step that would have lost them.

A group is replaced by adding another one to the batch: both are committed with it, so none is
lost and none is trained on twice. The credit of a replaced group is free at once, which lets a
fresh group start; the number of outstanding groups that can still be trained on stays the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redline.learner.settings import LossSettings
from redline.replay.records import TrajectoryGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """What a batch lacks, and how much it may be topped up."""

    limit: int
    """Groups that one batch may be topped up with."""
    without_signal: Callable[[Sequence[TrajectoryGroup]], int]
    """How many groups of a batch teach nothing."""

    @staticmethod
    def of(settings: LossSettings) -> "Resampling | None":
        """As the settings ask for; None where nothing is replaced."""
        if settings.no_signal != "resample":
            return None
        from redline.learner.signal import judge_groups

        return Resampling(
            limit=settings.max_resampled,
            without_signal=lambda groups: judge_groups(groups, settings).no_signal_groups,
        )

    def missing(self, groups: Sequence[TrajectoryGroup], groups_per_step: int) -> int:
        """Groups to add to a batch, of which as many as a step has are to teach something."""
        added = len(groups) - groups_per_step
        return min(self.without_signal(groups), self.limit) - added

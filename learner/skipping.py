"""Counting steps, those that were left out too, and giving up when too many are in a row."""

from dataclasses import replace

from redline.learner.policy_step import PolicyFigures
from redline.learner.progress import LearnerProgress


class NonFiniteTraining(RuntimeError):
    """Too many optimizer steps in a row had a loss or gradient that was not finite."""


def advanced(progress: LearnerProgress, figures: PolicyFigures | None) -> LearnerProgress:
    """The progress after one more training step; None when there was nothing to train on."""
    progress = replace(progress, step=progress.step + 1)
    if figures is None:
        return progress
    none_worked = figures.skipped_at_end == figures.tried_steps
    return replace(
        progress,
        optimizer_steps=progress.optimizer_steps + figures.tried_steps,
        weight_version=progress.weight_version + (figures.applied_steps > 0),
        skipped_steps=progress.skipped_steps + figures.skipped_steps,
        skipped_in_row=figures.skipped_at_end + (progress.skipped_in_row if none_worked else 0),
    )


def check_skipped(progress: LearnerProgress, limit: int) -> None:
    """Raise `NonFiniteTraining` when `limit` steps in a row were skipped."""
    if progress.skipped_in_row >= limit:
        raise NonFiniteTraining(
            f"the last {progress.skipped_in_row} optimizer steps had a non-finite loss or gradient"
            f" (learner.max_skipped_steps={limit}), up to training step {progress.step} with"
            f" weights of version {progress.weight_version}: resume from a checkpoint with a lower"
            " learner.optimizer.learning_rate or tighter clipping"
        )

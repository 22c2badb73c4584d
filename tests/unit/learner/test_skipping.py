"""Skipped steps are counted over the run, and too many in a row end it with a reason."""

from dataclasses import replace

import pytest

from redline.learner.progress import LearnerProgress
from redline.learner.skipping import NonFiniteTraining, advanced, check_skipped
from redline.learner.summary import NOTHING


def tried(*worked):
    """Figures of a training step whose optimizer steps worked or not, in this order."""
    at_end = next((n for n, ok in enumerate(reversed(worked)) if ok), len(worked))
    return replace(
        NOTHING,
        tried_steps=len(worked),
        applied_steps=sum(worked),
        skipped_steps=worked.count(False),
        skipped_at_end=at_end,
    )


@pytest.mark.parametrize(
    ("figures", "total", "in_row"),
    [
        ([tried(True)], 0, 0),
        ([tried(False), tried(False)], 2, 2),
        ([tried(False), tried(True), tried(False)], 2, 1),
        ([tried(False, False), tried(False, True, False)], 4, 1),
        ([tried(True, False), tried(False, False)], 3, 3),
    ],
)
def test_counts(figures, total, in_row):
    progress = LearnerProgress()
    for own in figures:
        progress = advanced(progress, own)
    assert (progress.skipped_steps, progress.skipped_in_row) == (total, in_row)
    assert progress.step == len(figures)
    assert progress.optimizer_steps == sum(own.tried_steps for own in figures)
    assert progress.weight_version == sum(own.applied_steps > 0 for own in figures)


def test_a_step_with_nothing_to_train_on_changes_no_other_count():
    progress = LearnerProgress(step=3, optimizer_steps=2, weight_version=1, skipped_in_row=1)
    assert advanced(progress, None) == replace(progress, step=4)


def test_the_end_has_a_reason():
    progress = LearnerProgress(step=12, weight_version=9, skipped_in_row=3)
    check_skipped(progress, 4)
    with pytest.raises(NonFiniteTraining, match=r"last 3 optimizer steps.*max_skipped_steps=3.*12"):
        check_skipped(progress, 3)

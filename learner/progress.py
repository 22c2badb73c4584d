"""Where a learner stands; part of every checkpoint."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerProgress:
    """Counts since the start of the run."""

    step: int = 0
    """Training steps, those without an update included."""
    optimizer_steps: int = 0
    """Optimizer steps tried; drives the warm-up."""
    weight_version: int = 0
    skipped_steps: int = 0
    """Optimizer steps left out for a non-finite loss or gradient."""
    skipped_in_row: int = 0
    """How many of those were the last ones."""

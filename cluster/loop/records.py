"""Records of a run's progress."""

from dataclasses import dataclass

from redline.replay.cursor import Cursor
from redline.replay.records import StepResult, WeightReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One turn of the main loop: the step, the push after it, and what was waited for."""

    result: StepResult
    receipts: tuple[WeightReceipt, ...]
    """One per sampler; empty when the weights did not change."""
    in_flight: int
    """Groups being sampled when the step ended."""
    truncated_rate: float
    """Share of the batch's episodes that ended because the context was full."""
    seconds_generation: float
    """Mean duration of the batch's episodes."""
    rollouter_idle_ratio: float
    """Share of the turn in which no group was being sampled."""
    seconds_wait: float
    """The learner's wait for enough groups."""
    seconds_train: float
    seconds_push: float
    seconds_total: float
    resampled_groups: int = 0
    """Groups that the batch was topped up with in place of others without a signal."""
    sampled_tokens: int = 0
    """Action tokens of all of the batch's episodes, trained on or not."""

    @property
    def max_abs_dlogp(self) -> float:
        """Largest difference between sampler and learner on the probe; 0 without a push."""
        return max((r.max_abs_dlogp for r in self.receipts), default=0.0)

    @property
    def pause_ms(self) -> float:
        """Longest standstill of a sampler during the push."""
        return max((r.pause_ms for r in self.receipts), default=0.0)

    @property
    def tokens_per_second(self) -> float:
        """Trained tokens per second of wall-clock time."""
        return self.per_second(self.result.tokens)

    def per_second(self, count: float) -> float:
        """Something of this turn of the loop, per second of wall-clock time."""
        return count / self.seconds_total if self.seconds_total > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a run stands: what a checkpoint's state.json says."""

    step: int = 0
    weight_version: int = 0
    store_cursor: Cursor | None = None
    """What the weights were trained on; None before the first checkpoint."""

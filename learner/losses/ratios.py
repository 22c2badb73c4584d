"""Ratios of probabilities from differences of log-probabilities."""

import torch

MAX_LOG_RATIO = 20.0
"""A ratio of e^20 is beyond every clip; more would only overflow, and an infinity times the zero of
a mask is no number."""


def ratio_of(log_ratio: torch.Tensor) -> torch.Tensor:
    """exp(x), with x cut at `MAX_LOG_RATIO`."""
    return log_ratio.clamp(max=MAX_LOG_RATIO).exp()

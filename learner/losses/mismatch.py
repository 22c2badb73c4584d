"""What is done about learner and sampler not being the same policy.

They differ by kernels and number formats, and by the versions that a token is behind.
"""

import torch

from redline.learner.losses.aggregation import sequence_means
from redline.learner.losses.ratios import ratio_of
from redline.learner.settings import LossSettings


def mismatch_ratio(
    logprobs: torch.Tensor,  # (n,) of the learner before the update
    rollout_logprobs: torch.Tensor,  # (n,)
    sequence: torch.Tensor,  # (n,) int64
    level: str,
) -> torch.Tensor:  # (n,)
    """π / μ of each token, or the geometric mean over its sequence; without gradient.

    Raises ValueError for another level than `token` or `sequence`.
    """
    log_ratio = (logprobs - rollout_logprobs).detach()
    if level == "sequence":
        log_ratio = sequence_means(log_ratio, sequence)
    elif level != "token":
        raise ValueError(f"mismatch_level is {level!r}, expected `token` or `sequence`")
    return ratio_of(log_ratio)


def importance_weights(ratio: torch.Tensor, cap: float) -> torch.Tensor:
    """min(π_old / μ, cap); all ones when `cap` is 0.

    Truncated importance sampling (Espeholt et al., arXiv 1802.01561).
    """
    return ratio.clamp(max=cap) if cap > 0 else torch.ones_like(ratio)


def outside_band(ratio: torch.Tensor, settings: LossSettings) -> torch.Tensor:
    """Which tokens the two policies disagree on too much to learn from; (n,) bool.

    A bound of 0 is none. Masked tokens still count in the averages of `token_weights`.
    """
    outside = torch.zeros_like(ratio, dtype=torch.bool)
    if settings.mismatch_low > 0:
        outside |= ratio < settings.mismatch_low
    if settings.mismatch_high > 0:
        outside |= ratio > settings.mismatch_high
    return outside

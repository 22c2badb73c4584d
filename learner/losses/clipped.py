"""The clipped surrogate of PPO, with separate bounds and an optional second clip."""

import torch


def clipped_surrogate(
    ratio: torch.Tensor,  # (n,) with gradient
    advantages: torch.Tensor,  # (n,)
    clip_low: float,
    clip_high: float,
    dual_clip: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Per-token loss -min(ρA, clip(ρ, 1 - low, 1 + high)A), and where it has no gradient.

    Schulman et al., arXiv 1707.06347; separate bounds from Yu et al., arXiv 2503.14476. With
    `dual_clip` c > 0 the surrogate of a negative advantage is at least cA (Ye et al., arXiv
    1912.09729), so one token that became far more likely cannot take over a step.
    """
    free = ratio * advantages
    bounded = ratio.clamp(1.0 - clip_low, 1.0 + clip_high) * advantages
    clipped = bounded < free
    surrogate = torch.minimum(free, bounded)
    if dual_clip > 0:
        floor = dual_clip * advantages
        too_low = (advantages < 0) & (surrogate < floor)
        surrogate, clipped = torch.where(too_low, floor, surrogate), clipped | too_low
    return -surrogate, clipped

"""CISPO: clip the importance weight instead of the surrogate."""

import torch


def cispo_surrogate(
    logprobs: torch.Tensor,  # (n,) with gradient
    ratio: torch.Tensor,  # (n,)
    advantages: torch.Tensor,  # (n,)
    clip_low: float,
    clip_high: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Per-token loss -sg(clip(ρ, 1 - low, 1 + high)) A log π, and where the weight was clipped.

    MiniMax-M1, arXiv 2506.13585: every token keeps a gradient, only its weight is bounded.
    `clip_low` of 1 or more leaves out the lower bound.
    """
    weight = ratio.detach()
    bounded = weight.clamp(max(1.0 - clip_low, 0.0), 1.0 + clip_high)
    return -bounded * advantages * logprobs, bounded != weight

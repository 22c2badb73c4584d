"""The critic's loss."""

import torch


def value_loss(
    values: torch.Tensor,  # (n,) with gradient
    old_values: torch.Tensor,  # (n,) before the step
    targets: torch.Tensor,  # (n,)
    weights: torch.Tensor,  # (n,)
    value_clip: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted sum of ½ max((V - G)², (V_old + clip(V - V_old, -ε, ε) - G)²), and where clipped.

    The clipping of PPO's reference implementation (Schulman et al., arXiv 1707.06347; its details
    in Huang et al. 2022). ε = `value_clip`; 0 leaves the plain squared error.
    """
    free = (values - targets).square()
    if value_clip <= 0:
        return (weights * free).sum() / 2, torch.zeros_like(values, dtype=torch.bool)
    near = old_values + (values - old_values).clamp(-value_clip, value_clip)
    held = (near - targets).square()
    return (weights * torch.maximum(free, held)).sum() / 2, held > free

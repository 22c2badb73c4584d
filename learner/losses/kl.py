"""Estimates of KL(p || q) of one token drawn from p, and what each is good for.

Schulman, "Approximating KL divergence", 2020. Here p is the policy, q the reference and
x = log q - log p of the sampled token. As a number k1 and k3 are unbiased and k2 is not. As a loss
that is differentiated through p, k2 has the gradient of KL(p || q) in expectation, k3 that of
KL(q || p), and k1 none at all. As part of the reward, k1 has the gradient of KL(p || q), and the
others are biased (Liu et al., arXiv 2510.01555).
"""

import torch

from redline.learner.losses.ratios import MAX_LOG_RATIO


def kl_estimate(log_ratio: torch.Tensor, name: str) -> torch.Tensor:
    """`k1`: -x, `k2`: x² / 2, `k3`: exp(x) - 1 - x, each token by itself.

    Raises ValueError for another name.
    """
    match name:
        case "k1":
            return -log_ratio
        case "k2":
            return log_ratio.square() / 2
        case "k3":
            return k3(log_ratio)
    raise ValueError(f"kl_estimator is {name!r}, expected `k1`, `k2` or `k3`")


def k3(log_ratio: torch.Tensor) -> torch.Tensor:
    """exp(x) - 1 - x for x = log q - log p: never negative; x is cut where it would overflow."""
    bounded = log_ratio.clamp(max=MAX_LOG_RATIO)
    return torch.expm1(bounded) - bounded

"""GSPO: one ratio for a whole sequence."""

import torch

from redline.learner.losses.aggregation import sequence_means
from redline.learner.losses.ratios import ratio_of


def sequence_ratio(
    logprobs: torch.Tensor,  # (n,) with gradient
    old_logprobs: torch.Tensor,  # (n,)
    sequence: torch.Tensor,  # (n,) int64
) -> torch.Tensor:  # (n,)
    """s_i = exp(mean over the tokens of sequence i of log π - log π_old), at each of its tokens.

    Zheng et al., arXiv 2507.18071, in the form for advantages that differ within a sequence (their
    GSPO-token): s_i is taken as a number, and its gradient at a token is s_i ∇ log π of that token.
    Where all advantages of a sequence agree and sequences are averaged (`sequence_mean`), this is
    the gradient of the sequence's own ratio.
    """
    whole = ratio_of(sequence_means((logprobs - old_logprobs).detach(), sequence))
    return whole * torch.exp(logprobs - logprobs.detach())

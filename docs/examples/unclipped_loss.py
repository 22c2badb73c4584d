"""A loss without clipping: the importance-weighted policy gradient itself.

redline train --config mine.yaml plugins=[unclipped_loss] learner.loss.kind=unclipped
"""

import torch

from redline.learner.registries import SURROGATES
from redline.learner.settings import LossSettings


def unclipped(
    logprobs: torch.Tensor,  # (n,) with gradient
    old_logprobs: torch.Tensor,  # (n,)
    advantages: torch.Tensor,  # (n,)
    sequence: torch.Tensor,  # (n,) row of the micro-batch that a token is from
    settings: LossSettings,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of each token, -ratio * A, and where it was clipped: nowhere."""
    ratio = (logprobs - old_logprobs).exp()
    return -ratio * advantages, torch.zeros_like(advantages, dtype=torch.bool)


SURROGATES.add("unclipped", unclipped)

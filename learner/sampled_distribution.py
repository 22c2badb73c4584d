"""The distribution that tokens were drawn from: what sampling options make of a policy's logits.

The sampler reports log-probabilities after grammar, temperature and top-p, in this order. A ratio
of two policies means something only if the learner's are of the same distribution.
"""

import torch

from redline.learner.grammar_mask import unpack_mask

_NEVER = -1e30
"""Logit of what cannot be drawn: its probability is exactly 0, and no arithmetic with it is not a
number, as with an infinity."""


def sampled_logits(
    logits: torch.Tensor,  # (n, vocabulary) float32
    targets: torch.Tensor,  # (n,) int64, the tokens that were drawn
    temperature: float,
    top_p: float,
    allowed: torch.Tensor | None = None,  # (n, ceil(vocabulary / 32)) int32
) -> torch.Tensor:  # (n, vocabulary)
    """Logits whose softmax is the distribution at this temperature, cut to its nucleus.

    `allowed` has a bit for each token that a grammar let through.

    The drawn token always stays: it was in the nucleus of the weights it was drawn with, and where
    newer weights put it just outside, its log-probability has to stay a number.
    """
    if allowed is not None:
        mask = unpack_mask(allowed.to(logits.device), logits.shape[-1])
        logits = logits.masked_fill(~mask, _NEVER)
    if temperature != 1.0:
        logits = logits / temperature
    if top_p >= 1.0:
        return logits
    kept = nucleus(logits.detach(), top_p).scatter_(-1, targets[:, None], True)
    return logits.masked_fill(~kept, _NEVER)


def nucleus(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """The smallest set of most likely tokens with a probability of `top_p` together; bool.

    A token is in when those that are more likely have less than `top_p` (Holtzman et al., arXiv
    1904.09751). The most likely one always is.
    """
    ordered, places = logits.softmax(-1).sort(stable=True, dim=-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    return torch.zeros_like(logits, dtype=torch.bool).scatter_(-1, places, before < top_p)

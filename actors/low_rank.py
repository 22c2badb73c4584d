"""An adapter's change added to a weight (imports torch).

`redline.learner.publishing.whole_weights` does it on its side, where it writes a policy to disk:
the same sum, formed in float32, so that both have the same bits.
"""

from collections.abc import Mapping

import torch

LowRankRow = tuple[str, str, str, float, bool]
"""Names of the weight, of `down` and of `up`; scale; whether the weight is stored as (in, out)."""


def merged(stored: torch.Tensor, sent: Mapping[str, torch.Tensor], row: LowRankRow) -> torch.Tensor:
    """`stored` + scale * up @ down as a new tensor of the same shape, type and device."""
    _, down, up, scale, transposed = row
    left, right = (sent[name].to(stored.device).float() for name in (up, down))
    change = (left @ right) * scale
    if transposed:
        change = change.T
    return (stored.float() + change).to(stored.dtype)

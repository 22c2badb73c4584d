"""From losses of single tokens to the loss of a step."""

import torch

from redline.learner.settings import LossSettings


def token_weights(
    sequence: torch.Tensor,  # (n,) int64, index of each token's sequence in the step
    counts: torch.Tensor,  # (s,) int64, action tokens of every sequence of the step
    settings: LossSettings,
) -> torch.Tensor:  # (n,) float32
    """Weight of each token's loss such that the sum over the step is the wanted aggregate.

    `token_mean`: 1 / tokens of the step. `sequence_mean`: 1 / (sequences * tokens of the sequence).
    `constant`: 1 / (sequences * constant_length), the length-unbiased form of arXiv 2503.20783.
    Raises ValueError for another name.
    """
    total, sequences = int(counts.sum()), int((counts > 0).sum())
    match settings.aggregation:
        case "token_mean":
            return torch.full((len(sequence),), 1.0 / total)
        case "sequence_mean":
            return 1.0 / (sequences * counts[sequence].float())
        case "constant":
            return torch.full((len(sequence),), 1.0 / (sequences * settings.constant_length))
    raise ValueError(
        f"aggregation is {settings.aggregation!r},"
        " expected `token_mean`, `sequence_mean` or `constant`"
    )


def sequence_means(
    values: torch.Tensor,  # (n,)
    sequence: torch.Tensor,  # (n,) int64, row of each token in its micro-batch
) -> torch.Tensor:  # (n,)
    """The mean over each token's sequence, at each of its tokens.

    A sequence is never split between micro-batches, so its mean is known within one.
    """
    rows = int(sequence.max()) + 1 if len(sequence) else 0
    sums = values.new_zeros(rows).index_add(0, sequence, values)
    counts = values.new_zeros(rows).index_add(0, sequence, torch.ones_like(values))
    return (sums / counts.clamp(min=1.0))[sequence]

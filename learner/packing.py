"""Micro-batches under a token budget.

Sequences are sorted by length and padded on the right to the longest of their micro-batch. Under
causal attention no real token sees the padding behind it, so no mask is needed and the CPU's fused
attention kernel stays usable; on two cores this beat packing with a block-diagonal mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from redline.replay.records import Bool, Int32


class SequenceTooLong(ValueError):
    """A sequence alone exceeds the token budget of a micro-batch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenBatch:
    """Padded sequences and the places of the tokens whose log-probability is wanted.

    The n wanted tokens are in row-major order.
    """

    input_ids: torch.Tensor  # (b, t) int64, padded with 0
    rows: torch.Tensor  # (n,) int64, sequence of each wanted token
    columns: torch.Tensor  # (n,) int64, its position, never 0
    num_tokens: int
    """Tokens without padding."""
    value_rows: torch.Tensor | None = None  # (m,) int64, sequence of each state a critic judges
    value_columns: torch.Tensor | None = None  # (m,) int64, the last token of that state

    @property
    def num_wanted(self) -> int:
        """Number of wanted tokens."""
        return int(self.rows.numel())

    def to(self, device: torch.device) -> "TokenBatch":
        """The same batch on another device."""
        return TokenBatch(
            input_ids=self.input_ids.to(device),
            rows=self.rows.to(device),
            columns=self.columns.to(device),
            num_tokens=self.num_tokens,
            value_rows=None if self.value_rows is None else self.value_rows.to(device),
            value_columns=None if self.value_columns is None else self.value_columns.to(device),
        )


def plan_micro_batches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Indices of the sequences of each micro-batch, longest sequences first.

    A micro-batch of k sequences costs k times its longest length and stays within the budget.
    Each index appears exactly once. Raises `SequenceTooLong` when a single one does not fit.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    plan: list[list[int]] = []
    for index in order:
        if lengths[index] > token_budget:
            raise SequenceTooLong(
                f"sequence {index} has {lengths[index]} tokens, expected at most the micro-batch"
                f" budget of {token_budget}: raise micro_batch_tokens or drop the sequence"
            )
        if plan and (len(plan[-1]) + 1) * lengths[plan[-1][0]] <= token_budget:
            plan[-1].append(index)
        else:
            plan.append([index])
    return plan


def pad_batch(token_ids: Sequence[Int32], wanted: Sequence[Bool]) -> TokenBatch:
    """Pad sequences on the right; `wanted` marks the tokens to be scored.

    Raises ValueError when lengths disagree or a first token, which nothing predicts, is wanted.
    """
    width = max(len(ids) for ids in token_ids)
    padded = np.zeros((len(token_ids), width), dtype=np.int64)
    mask = np.zeros((len(token_ids), width), dtype=np.bool_)
    for row, (ids, marks) in enumerate(zip(token_ids, wanted, strict=True)):
        if len(ids) != len(marks):
            raise ValueError(f"sequence {row} has {len(ids)} tokens and {len(marks)} marks")
        padded[row, : len(ids)] = ids
        mask[row, : len(ids)] = marks
    if mask[:, 0].any():
        raise ValueError("the first token of a sequence is wanted, but nothing predicts it")
    rows, columns = np.nonzero(mask)
    return TokenBatch(
        input_ids=torch.from_numpy(padded),
        rows=torch.from_numpy(rows),
        columns=torch.from_numpy(columns),
        num_tokens=sum(len(ids) for ids in token_ids),
    )


def gather_wanted(
    values: Sequence[NDArray[np.generic]], wanted: Sequence[Bool]
) -> NDArray[np.generic]:
    """Per-token values of the wanted tokens, (n,), in the order of `pad_batch`."""
    return np.concatenate([row[marks] for row, marks in zip(values, wanted, strict=True)])

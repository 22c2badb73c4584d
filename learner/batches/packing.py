"""Micro-batches of padded sequences under a token budget.

Sequences are sorted by length and padded on the right to the longest of their micro-batch. Under
causal attention no real token sees the padding behind it, so no mask is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from redline.learner.batches.packed_layout import PackedLayout
from redline.replay.records import Bool, Int32


class SequenceTooLong(ValueError):
    """A sequence alone exceeds the token budget of a micro-batch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenBatch:
    """Sequences to score, and the places of the tokens whose log-probability is wanted.

    A place is an index into the flattened `input_ids`. The n wanted tokens are in the order of
    their sequences.
    """

    input_ids: torch.Tensor  # (b, t) int64; padded with 0, or one flat row
    sequence: torch.Tensor  # (n,) int64, index of the sequence of each wanted token
    targets: torch.Tensor  # (n,) int64, place of each wanted token
    sources: torch.Tensor  # (n,) int64, place of the token before it
    num_tokens: int
    """Tokens computed, without padding."""
    num_pairs: int
    """Pairs of a computed token and one that it attends to, itself included."""
    position_ids: torch.Tensor | None = None  # (b, t) int64; None where rows count from 0
    layout: PackedLayout | None = None
    """How a flat row attends; None where rows are causal."""
    state_places: torch.Tensor | None = None  # (m,) int64, last token of each state to be judged

    @property
    def num_wanted(self) -> int:
        """Number of wanted tokens."""
        return int(self.targets.numel())

    def to(self, device: torch.device) -> "TokenBatch":
        """The same batch on another device."""

        def moved(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor.to(device)

        return TokenBatch(
            input_ids=self.input_ids.to(device),
            sequence=self.sequence.to(device),
            targets=self.targets.to(device),
            sources=self.sources.to(device),
            num_tokens=self.num_tokens,
            num_pairs=self.num_pairs,
            position_ids=moved(self.position_ids),
            layout=None if self.layout is None else self.layout.to(device),
            state_places=moved(self.state_places),
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


def pad_batch(
    token_ids: Sequence[Int32],
    wanted: Sequence[Bool],
    states: Sequence[NDArray[np.integer]] = (),
) -> TokenBatch:
    """Pad sequences on the right; `wanted` marks the tokens to be scored.

    `states` are the positions of the last token of each state of each sequence, for a critic.
    Raises ValueError when lengths disagree or a first token, which nothing predicts, is wanted.
    """
    check_wanted(token_ids, wanted)
    width = max(len(ids) for ids in token_ids)
    padded = np.zeros((len(token_ids), width), dtype=np.int64)
    for row, ids in enumerate(token_ids):
        padded[row, : len(ids)] = ids
    places = [row * width + np.arange(len(ids)) for row, ids in enumerate(token_ids)]
    return make_batch(
        input_ids=padded,
        num_tokens=sum(len(ids) for ids in token_ids),
        places=places,
        wanted=wanted,
        states=states,
    )


def make_batch(
    *,
    input_ids: NDArray[np.int64],  # (b, t)
    num_tokens: int,
    places: Sequence[NDArray[np.int64]],
    wanted: Sequence[Bool],
    states: Sequence[NDArray[np.integer]],
    position_ids: NDArray[np.int64] | None = None,  # (b, t)
    layout: PackedLayout | None = None,
) -> TokenBatch:
    """A batch of sequences whose tokens lie at `places`, one array for each sequence."""
    if position_ids is None:
        pairs = sum(len(own) * (len(own) + 1) // 2 for own in places)
    else:
        pairs = int(position_ids.sum()) + position_ids.size
    found = [np.flatnonzero(marks) for marks in wanted]
    counts = [len(own) for own in found]
    judged = [own[at] for own, at in zip(places, states, strict=True)] if len(states) else []
    return TokenBatch(
        input_ids=torch.from_numpy(input_ids),
        sequence=torch.from_numpy(np.repeat(np.arange(len(counts)), counts)),
        targets=_joined([own[at] for own, at in zip(places, found, strict=True)]),
        sources=_joined([own[at - 1] for own, at in zip(places, found, strict=True)]),
        num_tokens=num_tokens,
        num_pairs=pairs,
        position_ids=None if position_ids is None else torch.from_numpy(position_ids),
        layout=layout,
        state_places=_joined(judged) if judged else None,
    )


def check_wanted(token_ids: Sequence[Int32], wanted: Sequence[Bool]) -> None:
    """ValueError when lengths disagree or a first token, which nothing predicts, is wanted."""
    for row, (ids, marks) in enumerate(zip(token_ids, wanted, strict=True)):
        if len(ids) != len(marks):
            raise ValueError(f"sequence {row} has {len(ids)} tokens and {len(marks)} marks")
        if marks[0]:
            raise ValueError(
                f"the first token of sequence {row} is wanted, but nothing predicts it"
            )


def _joined(parts: Sequence[NDArray[np.int64]]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.int64))


def gather_wanted(
    values: Sequence[NDArray[np.generic]], wanted: Sequence[Bool]
) -> NDArray[np.generic]:
    """Per-token values of the wanted tokens, (n,), in the order of `pad_batch`."""
    return np.concatenate([row[marks] for row, marks in zip(values, wanted, strict=True)])

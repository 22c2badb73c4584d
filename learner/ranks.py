"""A step's samples divided over ranks, and what the ranks then tell each other.

Every rank is given all groups and makes the same samples of them, so counts, baselines and token
weights are those of the whole step on each. Then it computes its own share only. Under ZeRO-3 each
forward and backward is an exchange between all ranks, so all run equally many micro-batches: who
has fewer adds idle ones, in which no token is wanted and whose gradient is zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist

from redline.learner.batches.micro_batches import MicroBatchOf, micro_batches
from redline.replay.records import Bool, Int32, TrainingSample

T = TypeVar("T")
_IDLE_TOKENS = 2
_EVEN = 1.25
"""Tokens of the fullest rank over the mean above which groups are cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1

    def everyones(self, value: T) -> list[T]:
        """What each rank gave, by rank; waits for all of them."""
        if self.size == 1:
            return [value]
        found: list[T] = [value] * self.size
        dist.all_gather_object(found, value)
        return found


def present_ranks() -> Ranks:
    """The ranks of this process's group, or this process alone."""
    if not dist.is_initialized():
        return Ranks()
    return Ranks(rank=dist.get_rank(), size=dist.get_world_size())


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """Which rank computes what of a step's samples."""

    ranks: Ranks
    shares: Sequence[Sequence[int]]
    """Ascending indices of each rank's samples; every index appears exactly once."""

    @property
    def mine(self) -> Sequence[int]:
        """The samples of this rank."""
        return self.shares[self.ranks.rank]

    def idle(self, micro_batches: int) -> int:
        """How many idle micro-batches a rank adds to its own, so that all have equally many."""
        return max(self.ranks.everyones(micro_batches)) - micro_batches

    def completed(self, values: Sequence[T]) -> list[T]:
        """Values of all samples, from those that each rank knows of its share."""
        known = list(values)
        theirs = self.ranks.everyones([values[index] for index in self.mine])
        for share, found in zip(self.shares, theirs, strict=True):
            for index, value in zip(share, found, strict=True):
                known[index] = value
        return known

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over ranks of a tensor on the CPU; the same bits on each rank."""
        return torch.stack(self.ranks.everyones(values)).sum(0)


def divide(ranks: Ranks, groups: Sequence[str], tokens: Sequence[int]) -> Division:
    """Samples to ranks, by the group and the length of every sample.

    Groups go as a whole to the rank with the fewest tokens, the largest group first, so that what
    they share is computed once. Where that leaves one rank more than a quarter above the mean, the
    samples, group by group, are cut into pieces of about equal length instead. A rank may get none.
    """
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    shares = _whole(list(members.values()), tokens, ranks.size)
    heaviest = max(sum(tokens[i] for i in share) for share in shares)
    if heaviest * ranks.size > _EVEN * sum(tokens):
        shares = _cut([i for group in members.values() for i in group], tokens, ranks.size)
    return Division(ranks=ranks, shares=[sorted(share) for share in shares])


def scoring_batches(
    division: Division, token_ids: Sequence[Int32], wanted: Sequence[Bool], **options: Any
) -> list[MicroBatchOf]:
    """This rank's part of `micro_batches`, to score without gradient; equally many on every rank.

    A rank with fewer scores the shortest sequence over again; `completed` knows whose count.
    """
    own = list(micro_batches(token_ids, wanted, mine=division.mine, **options))
    missing = division.idle(len(own))
    if not missing:
        return own
    shortest = min(range(len(token_ids)), key=lambda index: len(token_ids[index]))
    return own + list(micro_batches(token_ids, wanted, mine=[shortest], **options)) * missing


def _whole(groups: Sequence[Sequence[int]], tokens: Sequence[int], ranks: int) -> list[list[int]]:
    """Groups to ranks, the heaviest first, each to the rank with the least."""
    load = [0] * ranks
    shares: list[list[int]] = [[] for _ in range(ranks)]
    weights = [sum(tokens[i] for i in group) for group in groups]
    for number in sorted(range(len(groups)), key=lambda n: (-weights[n], n)):
        rank = load.index(min(load))
        load[rank] += weights[number]
        shares[rank].extend(groups[number])
    return shares


def _cut(order: Sequence[int], tokens: Sequence[int], ranks: int) -> list[list[int]]:
    """Neighbours in `order` to the same rank; a sample belongs where its middle lies."""
    shares: list[list[int]] = [[] for _ in range(ranks)]
    total, begin = sum(tokens), 0
    for index in order:
        middle = 2 * begin + tokens[index]  # twice the place of the middle token
        shares[min(middle * ranks // (2 * total), ranks - 1)].append(index)
        begin += tokens[index]
    return shares


def idle_sample(sample: TrainingSample) -> TrainingSample:
    """The first tokens of a sample, none of them trained."""
    count = min(_IDLE_TOKENS, len(sample.token_ids))
    return replace(
        sample,
        token_ids=sample.token_ids[:count],
        loss_mask=np.zeros(count, dtype=np.bool_),
        rollout_logprobs=sample.rollout_logprobs[:count],
        advantages=sample.advantages[:count],
        weight_versions=sample.weight_versions[:count],
        turn_index=sample.turn_index[:count],
    )

"""From sequences to micro-batches, packed or padded: the one place where that is decided."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redline.learner.batches.packed import pack_batch, plan_packed, shared_lengths
from redline.learner.batches.packing import TokenBatch, pad_batch, plan_micro_batches
from redline.replay.records import Bool, Int32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MicroBatchOf:
    """One micro-batch and which sequences it holds, in its order."""

    members: list[int]
    tokens: TokenBatch


def micro_batches(
    token_ids: Sequence[Int32],
    wanted: Sequence[Bool],
    *,
    token_budget: int,
    packing: str,
    groups: Sequence[object] = (),
    states: Sequence[NDArray[np.integer]] = (),
    mine: Sequence[int] | None = None,
) -> Iterator[MicroBatchOf]:
    """Every sequence in one micro-batch of at most `token_budget` tokens, padding counted.

    Only those with the ascending indices `mine`, if that is given. `wanted` marks the tokens to be
    scored, `groups` says which sequences may share a beginning (those of a group follow each
    other), and `states` has the positions of the last token of each state, for a critic. `packing`
    is one of `PACKINGS` but not `auto`. Raises `SequenceTooLong` for a sequence above the budget.
    """
    own = range(len(token_ids)) if mine is None else mine
    lengths = [len(token_ids[index]) for index in own]
    if packing == "padded":
        plan, shared = plan_micro_batches(lengths, token_budget), [0] * len(lengths)
    else:
        alone = packing == "packed" or not groups
        groups = range(len(token_ids)) if alone else groups
        own_groups = [groups[index] for index in own]
        shared = shared_lengths(
            [token_ids[index] for index in own], [wanted[index] for index in own], own_groups
        )
        plan = plan_packed(_costs(lengths, shared, own_groups), token_budget)
    for part in plan:
        members = [own[place] for place in part]
        own_ids = [token_ids[i] for i in members]
        own_wanted = [wanted[i] for i in members]
        own_states = [states[i] for i in members] if len(states) else []
        if packing == "padded":
            tokens = pad_batch(own_ids, own_wanted, own_states)
        else:
            of_groups = [groups[i] for i in members]
            own_shared = [shared[place] for place in part]
            tokens = pack_batch(own_ids, own_wanted, of_groups, own_shared, own_states)
        yield MicroBatchOf(members=members, tokens=tokens)


def resolve_packing(wanted: str, can_pack: bool) -> str:
    """What `learner.packing` comes to with this policy; ValueError where it cannot be had."""
    if wanted == "auto":
        return "shared_prefix" if can_pack else "padded"
    if wanted != "padded" and not can_pack:
        raise ValueError(
            f"learner.packing={wanted!r} needs a policy and a reference with plain causal"
            " attention: set it to 'padded'"
        )
    return wanted


def _costs(
    lengths: Sequence[int], shared: Sequence[int], groups: Sequence[object]
) -> list[tuple[int, int]]:
    """Tokens of each sequence, and those that the one before it in its group computes too."""
    return [
        (length, common if index and groups[index] == groups[index - 1] else 0)
        for index, (length, common) in enumerate(zip(lengths, shared, strict=True))
    ]

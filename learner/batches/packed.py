"""Micro-batches without padding, in which a group's common beginning is computed once.

The sequences lie one after the other in a single row. Those of one group share the longest
beginning that they have in common (prompt and first state); see `packed_layout`.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from redline.learner.batches.packed_layout import Strand, lay_out
from redline.learner.batches.packing import SequenceTooLong, TokenBatch, check_wanted, make_batch
from redline.replay.records import Bool, Int32

WORTH_SHARING = 16
"""Shorter beginnings are computed for each sequence: attending in two parts costs something too."""


def plan_packed(costs: Sequence[tuple[int, int]], token_budget: int) -> list[list[int]]:
    """Indices of the sequences of each micro-batch, in their order.

    `costs` are the tokens of each sequence and those of them that the one before computes too; a
    micro-batch that a sequence opens has to compute them all. Each index appears exactly once.
    Raises `SequenceTooLong` when a single sequence does not fit.
    """
    plan: list[list[int]] = []
    used = 0
    for index, (tokens, shared) in enumerate(costs):
        if tokens > token_budget:
            raise SequenceTooLong(
                f"sequence {index} has {tokens} tokens, expected at most the micro-batch"
                f" budget of {token_budget}: raise micro_batch_tokens or drop the sequence"
            )
        if plan and used + tokens - shared <= token_budget:
            plan[-1].append(index)
            used += tokens - shared
        else:
            plan.append([index])
            used = tokens
    return plan


def shared_lengths(
    token_ids: Sequence[Int32], wanted: Sequence[Bool], groups: Sequence[object]
) -> list[int]:
    """How long a beginning each sequence shares with all of its group, 0 where it is not worth it.

    Sequences of a group follow each other. No wanted token is part of a beginning, and something of
    each sequence is left.
    """
    lengths: list[int] = []
    for _, members in groupby(range(len(groups)), key=lambda index: groups[index]):
        own = list(members)
        common = min(_free(token_ids[index], wanted[index]) for index in own)
        first = token_ids[own[0]]
        for index in own[1:]:
            differs = np.flatnonzero(first[:common] != token_ids[index][:common])
            common = int(differs[0]) if len(differs) else common
        worth = len(own) > 1 and common >= WORTH_SHARING
        lengths += [common if worth else 0] * len(own)
    return lengths


def _free(token_ids: Int32, wanted: Bool) -> int:
    """Tokens before the first wanted one, and not all."""
    places = np.flatnonzero(wanted)
    return int(places[0]) if len(places) else len(token_ids) - 1


def pack_batch(
    token_ids: Sequence[Int32],
    wanted: Sequence[Bool],
    groups: Sequence[object],
    shared: Sequence[int],
    states: Sequence[NDArray[np.integer]] = (),
) -> TokenBatch:
    """One flat row of sequences; `shared` is what `shared_lengths` said of them.

    `states` are the positions of the last token of each state of each sequence, for a critic.
    Raises ValueError when lengths disagree or a first token, which nothing predicts, is wanted.
    """
    check_wanted(token_ids, wanted)
    strands: list[Strand] = []
    parts: list[NDArray[np.integer]] = []
    positions: list[NDArray[np.int64]] = []
    places: list[NDArray[np.int64]] = []
    end = 0
    beginning: Strand | None = None
    group: object = None
    for ids, own_group, common in zip(token_ids, groups, shared, strict=True):
        if common and (beginning is None or own_group != group):
            beginning = Strand(start=end, length=common)
            strands.append(beginning)
            parts.append(ids[:common])
            positions.append(np.arange(common))
            end += common
        group = own_group
        start = beginning.start if common and beginning is not None else end
        strands.append(
            Strand(start=end, length=len(ids) - common, shared_start=start, shared_length=common)
        )
        parts.append(ids[common:])
        positions.append(np.arange(common, len(ids)))
        places.append(
            np.concatenate([start + np.arange(common), end + np.arange(len(ids) - common)])
        )
        end += len(ids) - common
        if not common:
            beginning = None
    return make_batch(
        input_ids=np.concatenate(parts).astype(np.int64)[None],
        num_tokens=end,
        places=places,
        wanted=wanted,
        states=states,
        position_ids=np.concatenate(positions).astype(np.int64)[None],
        layout=lay_out(strands, end),
    )

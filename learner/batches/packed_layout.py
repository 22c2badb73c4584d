"""Where the sequences of a flat row lie, and which of its tokens each of them may look at.

A row holds every token once: what all sequences of a group begin with (prompt and first state) is
there one time, in front of them, and each sequence goes on from it. The mask is a tree: a token
sees its own sequence up to itself, and the whole beginning it shares.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

_WASTE = 1.25
"""Sequences attend together whose longest is at most this much longer than their shortest."""

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strand:
    """A part of the row that is one causal sequence, after the part it goes on from."""

    start: int
    length: int
    shared_start: int = 0
    shared_length: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bucket:
    """Strands of similar length that attend in one product, padded to (k, s) and (k, c)."""

    queries: torch.Tensor  # (k, s) int64, places in the row; padding repeats a place of the strand
    keys: torch.Tensor  # (k, c + s) int64, shared places first
    mask: torch.Tensor | None  # (k, 1, s, c + s) bool; None for plain causal attention


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedLayout:
    """How a row of t tokens attends to itself."""

    buckets: tuple[Bucket, ...]
    places: torch.Tensor
    """(t,) int64: where each token's output lies in the joined outputs of all buckets."""

    def to(self, device: torch.device) -> "PackedLayout":
        """The same layout on another device."""
        return PackedLayout(
            buckets=tuple(
                Bucket(
                    queries=bucket.queries.to(device),
                    keys=bucket.keys.to(device),
                    mask=None if bucket.mask is None else bucket.mask.to(device),
                )
                for bucket in self.buckets
            ),
            places=self.places.to(device),
        )


def lay_out(strands: Sequence[Strand], tokens: int) -> PackedLayout:
    """The layout of a row of `tokens` tokens that these strands cover exactly."""
    buckets = []
    places = np.zeros(tokens, dtype=np.int64)
    offset = 0
    for alike in _alike(strands):
        width = max(strand.length for strand in alike)
        for number, strand in enumerate(alike):
            own = np.arange(strand.length)
            places[strand.start + own] = offset + number * width + own
        offset += len(alike) * width
        buckets.append(_bucket(alike, width))
    return PackedLayout(buckets=tuple(buckets), places=torch.from_numpy(places))


def _alike(strands: Sequence[Strand]) -> Iterator[list[Strand]]:
    """Strands that waste little when padded to the longest of them."""
    together: list[Strand] = []
    for strand in sorted(strands, key=lambda s: (s.shared_length > 0, s.length, s.start)):
        if together and (
            strand.length > _WASTE * together[0].length
            or (strand.shared_length > 0) != (together[0].shared_length > 0)
        ):
            yield together
            together = []
        together.append(strand)
    if together:
        yield together


def _bucket(strands: Sequence[Strand], width: int) -> Bucket:
    starts = np.array([s.start for s in strands])[:, None]
    lengths = np.array([s.length for s in strands])[:, None]
    own = starts + np.minimum(np.arange(width), lengths - 1)
    shared_width = max(s.shared_length for s in strands)
    if shared_width == 0:
        places = torch.from_numpy(own)
        return Bucket(queries=places, keys=places, mask=None)
    shared_starts = np.array([s.shared_start for s in strands])[:, None]
    shared_lengths = np.array([s.shared_length for s in strands])[:, None]
    columns = np.arange(shared_width)
    shared = shared_starts + np.minimum(columns, shared_lengths - 1)
    seen = np.broadcast_to(
        (columns < shared_lengths)[:, None, :], (len(strands), width, shared_width)
    )
    causal = np.broadcast_to(np.tri(width, dtype=np.bool_), (len(strands), width, width))
    return Bucket(
        queries=torch.from_numpy(own),
        keys=torch.from_numpy(np.concatenate([shared, own], axis=1)),
        mask=torch.from_numpy(np.concatenate([seen, causal], axis=2)[:, None]),
    )

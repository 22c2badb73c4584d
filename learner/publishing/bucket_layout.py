"""Which tensor lies where in which bucket: the form in which weights leave the learner.

A bucket is one contiguous run of bytes. Tensors keep their order and are never cut, so each can be
viewed in place: every one begins at a multiple of `ALIGNMENT`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from redline.replay.records import TensorSpec, UInt8

ALIGNMENT = 64
"""Bytes; a multiple of the size of every element, and of a cache line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorShape:
    """One tensor that is to leave."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """As torch prints it without the prefix."""
    itemsize: int
    """Bytes of one element."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketLayout:
    """The tensors of one bucket."""

    specs: tuple[TensorSpec, ...]
    nbytes: int
    """Multiple of `ALIGNMENT`, so that buckets can lie back to back."""


def lay_out(tensors: Iterable[TensorShape], bucket_bytes: int) -> list[BucketLayout]:
    """Buckets of at most `bucket_bytes`, filled in order; a larger tensor has one of its own."""
    layouts: list[BucketLayout] = []
    specs: list[TensorSpec] = []
    end = 0
    for tensor in tensors:
        nbytes = int(np.prod(tensor.shape, dtype=np.int64)) * tensor.itemsize
        if specs and end + nbytes > bucket_bytes:
            layouts.append(BucketLayout(specs=tuple(specs), nbytes=end))
            specs, end = [], 0
        specs.append(
            TensorSpec(
                name=tensor.name,
                shape=tensor.shape,
                dtype=tensor.dtype,
                bucket=len(layouts),
                offset=end,
                nbytes=nbytes,
            )
        )
        end += -(-nbytes // ALIGNMENT) * ALIGNMENT
    if specs:
        layouts.append(BucketLayout(specs=tuple(specs), nbytes=end))
    return layouts


def join(layout: BucketLayout, tensors: Iterable[UInt8]) -> UInt8:
    """A bucket of the bytes of its tensors, in their order; what lies between them is zero."""
    bucket = np.zeros(layout.nbytes, np.uint8)
    for spec, raw in zip(layout.specs, tensors, strict=True):
        bucket[spec.offset : spec.offset + spec.nbytes] = raw
    return bucket

"""Ways for the bytes of an update into the engine's worker, one for each transport.

What is slow and needs no pause happens here, before it. The worker is told where the buckets are by
a `Source`; `weight_loader.py` opens it.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from redline.replay.records import BucketContent, UInt8, WeightUpdate

Source = tuple[str, list[Any], list[int]]
"""The transport, what its buckets are opened with, and the bytes of each bucket."""


@contextmanager
def staged(update: WeightUpdate, contents: Sequence[BucketContent]) -> Iterator[Source]:
    """Make the buckets available to the worker for as long as this lasts."""
    sizes = [bucket.nbytes for bucket in update.buckets]
    if update.transport == "object_store":
        with shared_file(cast(Sequence[UInt8], contents)) as path:
            yield update.transport, [str(path)], sizes
    else:
        yield update.transport, list(contents), sizes


@contextmanager
def shared_file(contents: Sequence[UInt8]) -> Iterator[Path]:
    """Write buckets back to back where the worker can map them.

    The memory belongs to no folder: it is free again as soon as nobody maps it, even if this
    process is killed meanwhile, and a small /dev/shm is no limit.
    """
    handle = os.memfd_create("redline-weights")
    with os.fdopen(handle, "wb") as file:
        for content in contents:
            file.write(content.data)
        file.flush()
        yield Path(f"/proc/{os.getpid()}/fd/{handle}")

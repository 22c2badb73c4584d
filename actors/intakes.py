"""Ways for the bytes of an update into the engine's worker, one for each transport.

What is slow and needs no pause happens here, before it. The worker is told where the buckets are by
a `Source`; `weight_loader.py` opens it.
"""

import os
import tempfile
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
    """Write buckets back to back where the worker can map them, in memory if there is a place."""
    shm = Path("/dev/shm")
    folder = shm if shm.is_dir() and os.access(shm, os.W_OK) else None
    handle, name = tempfile.mkstemp(prefix="redline-weights-", dir=folder)
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for content in contents:
                file.write(content.data)
        yield path
    finally:
        path.unlink(missing_ok=True)

"""Writing files so that a crash leaves either the old state or the new one, never a half."""

import os

import pyarrow as pa

from redline.replay.object_path import ObjectPath
from redline.replay.places import Place

TEMPORARY_SUFFIX = ".tmp"


def write_atomically(path: Place, data: bytes | memoryview) -> None:
    """Write `data` to a temporary name, fsync it, rename it to `path`, and fsync the directory.

    In a bucket, put it. After an OSError (a full disk, say) `path` is untouched and nothing
    temporary is left; in a bucket it may be there all the same.
    """
    if isinstance(path, ObjectPath):
        path.write_whole(data)
        return
    temporary = path.with_name(f"{path.name}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb", buffering=0) as file:
            write_fully(file.fileno(), data)
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_fully(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data`; os.write alone may take only a part."""
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def map_file(path: Place) -> pa.NativeFile:
    """All bytes of a file, memory-mapped; in a bucket, read at once."""
    if isinstance(path, ObjectPath):
        return pa.BufferReader(path.read_buffer())
    return pa.memory_map(str(path))


def sync_directory(path: Place) -> None:
    """Make the names in a directory (renames, removals) durable; in a bucket they are."""
    if isinstance(path, ObjectPath):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

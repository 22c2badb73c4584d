"""Writing files so that a crash leaves either the old state or the new one, never a half."""

import os
from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to a temporary name, fsync it, rename it to `path`, and fsync the directory.

    After an OSError (a full disk, say) `path` is untouched and nothing temporary is left.
    """
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


def sync_directory(path: Path) -> None:
    """Make the names in a directory (renames, removals) durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

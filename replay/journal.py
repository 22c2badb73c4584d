"""An append-only file of JSON lines, each durable before its append returns.

A line is `<crc32 of the rest, 8 hex digits> <json>`. A crash in the middle of an append leaves a
torn last line, which opening cuts off: its append never returned, so nobody relied on it. Damage
anywhere else means that a promise was broken by the disk, and is refused.
"""

import json
import logging
import os
import zlib
from pathlib import Path
from typing import Any

from redline.replay.errors import JournalError
from redline.replay.files import sync_directory, write_fully

_log = logging.getLogger(__name__)


def encode_line(entry: dict[str, Any]) -> bytes:
    """One journal line, its newline included."""
    text = json.dumps(entry, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read_journal(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The entries of a journal and the bytes that hold them; a torn last line is left out.

    Raises `JournalError` naming file and line for damage before the last line. A file that is
    not there is an empty journal.
    """
    data = path.read_bytes() if path.exists() else b""
    lines = data.split(b"\n")
    entries: list[dict[str, Any]] = []
    good = 0
    for number, line in enumerate(lines[:-1], 1):
        text = line[9:]
        if line[:9] != b"%08x " % zlib.crc32(text):
            if number == len(lines) - 1 or not any(lines[number:]):
                break
            raise JournalError(
                f"{path}, line {number}: checksum does not match its {len(line)} bytes; move the "
                "file away and resume from a checkpoint, whose cursor holds the same state"
            )
        entries.append(json.loads(text))
        good += len(line) + 1
    return entries, good


class Journal:
    """A journal open for appending."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        """Open or create the file and cut off a torn last line.

        With `durable` false, entries survive the end of the process, but not a power loss.

        Raises `JournalError` for damage before the last line.
        """
        self.path = path
        self._durable = durable
        self.entries, self._end = read_journal(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        torn = os.fstat(self._descriptor).st_size - self._end
        if torn:
            _log.warning("%s: cut off a torn last line of %d bytes", path, torn)
            os.ftruncate(self._descriptor, self._end)
        self._sync()
        sync_directory(path.parent)

    def append(self, entry: dict[str, Any]) -> None:
        """Append one entry; it is durable when this returns, unless opened otherwise.

        After an OSError the file ends where it ended before.
        """
        line = encode_line(entry)
        os.lseek(self._descriptor, self._end, os.SEEK_SET)
        try:
            write_fully(self._descriptor, line)
            self._sync()
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(line)

    def _sync(self) -> None:
        if self._durable:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; every entry is durable already."""
        os.close(self._descriptor)

"""An append-only file of JSON lines, each durable before its append returns.

The lines are those of `journal_lines.py`. A crash in the middle of an append leaves a
torn last line, which opening cuts off: its append never returned, so nobody relied on it. Damage
anywhere else means that a promise was broken by the disk, and is refused. In a bucket the entries
are objects instead (`object_journal.py`).
"""

import logging
import os
from pathlib import Path
from typing import Any, Protocol

from redline.replay.errors import JournalError
from redline.replay.files import sync_directory, write_atomically, write_fully
from redline.replay.journal_lines import decode_line, encode_line
from redline.replay.object_journal import ObjectJournal, read_object_journal
from redline.replay.object_path import ObjectPath
from redline.replay.places import Place

_log = logging.getLogger(__name__)


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
        entry = decode_line(line)
        if entry is None:
            if number == len(lines) - 1 or not any(lines[number:]):
                break
            raise JournalError(
                f"{path}, line {number}: checksum does not match its {len(line)} bytes; move the "
                "file away and resume from a checkpoint, whose cursor holds the same state"
            )
        entries.append(entry)
        good += len(line) + 1
    return entries, good


class OpenJournal(Protocol):
    """A journal open for appending, wherever it lies."""

    entries: list[dict[str, Any]]
    """What it held when it was opened."""

    def append(self, entry: dict[str, Any]) -> None:
        """Append one entry durably."""

    def rewrite(self, entries: list[dict[str, Any]]) -> None:
        """Let these entries stand for all that were appended so far."""

    def close(self) -> None:
        """End the use of it."""


def read_entries(place: Place) -> list[dict[str, Any]]:
    """The entries of a journal, wherever it lies; raises `JournalError` when it is damaged."""
    if isinstance(place, ObjectPath):
        return read_object_journal(place)
    return read_journal(place)[0]


def open_journal(place: Place, *, durable: bool = True) -> OpenJournal:
    """Open or create a journal, wherever it lies; `durable` as for `Journal`.

    Raises `JournalError` for damage before the last entry.
    """
    if isinstance(place, ObjectPath):
        return ObjectJournal(place)
    return Journal(place, durable=durable)


def set_journal_aside(place: Place, suffix: str) -> None:
    """Make room for a new journal: a file gets `suffix`, objects are deleted."""
    if isinstance(place, Path):
        place.replace(place.with_name(place.name + suffix))
        return
    for entry in place.glob("*"):
        entry.unlink()


class Journal:
    """A journal open for appending, in one file."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        """Open or create the file and cut off a torn last line.

        With `durable` false, entries survive the end of the process, but not a power loss.

        Raises `JournalError` for damage before the last line.
        """
        self.path = path
        self._durable = durable
        self._open()

    def _open(self) -> None:
        path = self.path
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

    def rewrite(self, entries: list[dict[str, Any]]) -> None:
        """Let these entries stand for all that were appended so far."""
        self.close()
        write_atomically(self.path, b"".join(encode_line(entry) for entry in entries))
        self._open()

    def _sync(self) -> None:
        if self._durable:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; every entry is durable already."""
        os.close(self._descriptor)

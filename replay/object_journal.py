"""A journal where nothing can be appended to a file: one object for each entry.

`0000000012.entry` holds the line of entry 12; `0000000063.snapshot` holds every line that counts
up to entry 63 and stands for them. An object appears whole, so an entry is there or it is not.
"""

from typing import Any

from redline.replay.errors import JournalError
from redline.replay.journal_lines import decode_lines, encode_line
from redline.replay.object_path import ObjectPath

_ENTRY, _SNAPSHOT = ".entry", ".snapshot"
_SNAPSHOT_EVERY = 64
"""Entries, each of which costs a request when the journal is opened."""


def read_object_journal(folder: ObjectPath) -> list[dict[str, Any]]:
    """All entries; raises `JournalError` for one that is damaged or missing.

    A damaged last entry is left out: its append never returned.
    """
    return _read(folder)[0]


class ObjectJournal:
    """A journal open for appending by one writer."""

    def __init__(self, path: ObjectPath) -> None:
        """Read what is there; raises `JournalError` as `read_object_journal` does."""
        self.path = path
        self._snapshot_every = _SNAPSHOT_EVERY
        path.mkdir()
        self.entries, self._next, self._snapshot = _read(path)
        self._lines = [encode_line(entry) for entry in self.entries]
        self._tidy()

    def append(self, entry: dict[str, Any]) -> None:
        """Append one entry; it is durable when this returns.

        After an OSError the next append takes its place, whatever became of it.
        """
        line = encode_line(entry)
        (self.path / f"{self._next:010d}{_ENTRY}").write_whole(line)
        self._lines.append(line)
        self._next += 1
        if self._next - self._snapshot > self._snapshot_every:
            self._take_snapshot()

    def rewrite(self, entries: list[dict[str, Any]]) -> None:
        """Let these entries stand for all that were appended so far."""
        self._lines = [encode_line(entry) for entry in entries]
        self._take_snapshot()

    def close(self) -> None:
        """Every entry is durable already."""

    def _take_snapshot(self) -> None:
        name = f"{self._next:010d}{_SNAPSHOT}"
        (self.path / name).write_whole(b"".join(self._lines))
        self._next += 1
        self._snapshot = self._next
        self._tidy()

    def _tidy(self) -> None:
        """Delete what the snapshot stands for."""
        for file in self.path.glob("*"):
            if 0 <= _number(file) < self._snapshot - 1:
                file.unlink(missing_ok=True)


def _read(folder: ObjectPath) -> tuple[list[dict[str, Any]], int, int]:
    """Entries, the number of the next one, and the number after the newest snapshot's."""
    # Of the same number a snapshot counts, not the entry whose append failed: it sorts behind.
    files = {_number(f): f for f in sorted(folder.glob("*")) if _number(f) >= 0}
    first = max((n for n, f in files.items() if f.name.endswith(_SNAPSHOT)), default=0)
    numbers = [n for n in sorted(files) if n >= first]
    entries: list[dict[str, Any]] = []
    for place, number in enumerate(numbers):
        if number != first + place:
            raise JournalError(f"{folder}: entry {first + place} is missing, {number} is there")
        try:
            entries += decode_lines(files[number].read_bytes(), str(files[number]))
        except JournalError:
            if place < len(numbers) - 1 or files[number].name.endswith(_SNAPSHOT):
                raise
            numbers.pop()
    found_snapshot = bool(numbers) and files[first].name.endswith(_SNAPSHOT)
    return entries, first + len(numbers), first + 1 if found_snapshot else 0


def _number(file: ObjectPath) -> int:
    """Number of an entry or a snapshot; -1 for anything else, such as a half-written one."""
    digits, _, kind = file.name.partition(".")
    return int(digits) if digits.isdigit() and f".{kind}" in (_ENTRY, _SNAPSHOT) else -1

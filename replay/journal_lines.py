"""The lines of a journal: `<crc32 of the rest, 8 hex digits> <json>`."""

import json
import zlib
from typing import Any

from redline.replay.errors import JournalError


def encode_line(entry: dict[str, Any]) -> bytes:
    """One journal line, its newline included."""
    text = json.dumps(entry, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode_line(line: bytes) -> dict[str, Any] | None:
    """The entry of a line without its newline; None when its checksum does not match."""
    text = line[9:]
    return json.loads(text) if line[:9] == b"%08x " % zlib.crc32(text) else None


def decode_lines(data: bytes, origin: str) -> list[dict[str, Any]]:
    """All entries of whole lines; raises `JournalError` naming `origin` for a damaged one."""
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(data.splitlines(), 1):
        entry = decode_line(line)
        if entry is None:
            raise JournalError(
                f"{origin}, line {number}: checksum does not match its {len(line)} bytes; move "
                "the file away and resume from a checkpoint, whose cursor holds the same state"
            )
        entries.append(entry)
    return entries

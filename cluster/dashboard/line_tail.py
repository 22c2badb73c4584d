"""A growing file of JSON lines, read on from where the last reading ended."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a look at the file found."""

    restarted: bool
    """Whether the file is another one: what was read before counts no more."""
    records: tuple[dict[str, Any], ...]


class LineTail:
    """Reads whole lines; the last one may still be in the writing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        """Why nothing after some line can be read; empty while all is well."""
        self._inode = 0
        self._offset = 0
        self._lines = 0

    def poll(self) -> News:
        """Lines that were finished since the last call; none while the file is not there."""
        try:
            with self.path.open("rb") as file:
                restarted = self._restart(file.fileno())
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return News(restarted=False, records=())
        return News(restarted=restarted, records=tuple(self._parse(data)))

    def _restart(self, descriptor: int) -> bool:
        """Begin again when the file was replaced (a resumed run does that) or shortened."""
        status = os.fstat(descriptor)
        if status.st_ino == self._inode and status.st_size >= self._offset:
            return False
        known = self._inode != 0
        self._inode, self._offset, self._lines, self.problem = status.st_ino, 0, 0, ""
        return known

    def _parse(self, data: bytes) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = []
        for line in data.split(b"\n")[:-1]:
            if self.problem:
                break
            try:
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError("not an object")
            except ValueError as error:
                self.problem = f"{self.path}, line {self._lines + 1} is damaged ({error})"
                break
            records.append(record)
            self._lines += 1
            self._offset += len(line) + 1
        return records

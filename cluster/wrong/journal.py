"""What is sampled already, kept beside the output until it is whole.

`wrong.jsonl.partial` holds the plan in its first line and a line for each task that is done. A run
that was ended in whatever way goes on with the others; a last line that was cut off is forgotten.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from redline.cluster.errors import UserError, one_line
from redline.cluster.wrong.sifting import Sifted
from redline.cluster.wrong.statistics import WrongCounts
from redline.dsl.task_fields import TaskFieldError, task_from_json, task_to_json


class WrongJournal:
    """The file of one sampling; a context manager around the work."""

    def __init__(self, output: Path, plan: dict[str, Any]) -> None:
        """Begin a file, or take up one of the same plan.

        Raises UserError when there is one of other work, or none can be written.
        """
        self.path = output.with_name(f"{output.name}.partial")
        try:
            kept = _whole_lines(self.path.read_bytes()) if self.path.exists() else []
            self.done = _read(self.path, kept, plan)
            self._file = _open_after(self.path, kept, plan)
        except OSError as error:
            raise UserError(f"{self.path} cannot be used: {error.strerror}") from error

    def keep(self, sifted: Sifted) -> None:
        """Write what a task gave, durably."""
        self.done[sifted.task_id] = sifted
        line = {
            "task_id": sifted.task_id,
            "wrong": [task_to_json(task) for task in sifted.wrong],
            "counts": sifted.counts.to_json(),
        }
        _append(self._file, json.dumps(line))

    def remove(self) -> None:
        """Delete the file: the output is in place."""
        self.path.unlink()

    def __enter__(self) -> "WrongJournal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def _whole_lines(data: bytes) -> list[bytes]:
    """The lines that were written to their end."""
    return data.split(b"\n")[:-1]


def _read(path: Path, lines: Sequence[bytes], plan: dict[str, Any]) -> dict[str, Sifted]:
    """What each line after the plan holds; UserError for another plan or a line that is none."""
    try:
        records = [json.loads(line) for line in lines]
        if len(records) > 1:
            _refuse_others(path, records[0]["plan"], plan)
        return {record["task_id"]: _sifted(record) for record in records[1:]}
    except (ValueError, KeyError, TypeError, TaskFieldError) as error:
        raise UserError(
            f"{path} is not what an earlier run left ({one_line(error)}); remove it"
        ) from error


def _sifted(record: dict[str, Any]) -> Sifted:
    return Sifted(
        task_id=record["task_id"],
        wrong=tuple(task_from_json(text) for text in record["wrong"]),
        counts=WrongCounts.from_json(record["counts"]),
    )


def _refuse_others(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    changed = [name for name in now if before.get(name) != json.loads(json.dumps(now[name]))]
    if changed:
        name = changed[0]
        raise UserError(
            f"{path} holds samples of other work ({name} was {before.get(name)!r}, now "
            f"{now[name]!r}); give the same options again, choose another --output, or remove it"
        )


def _open_after(path: Path, lines: Sequence[bytes], plan: dict[str, Any]) -> IO[bytes]:
    """The file opened to be appended to, cut to its whole lines, with the plan in the first.

    A plan of which nothing was done is replaced.
    """
    kept = lines if len(lines) > 1 else []
    file = path.open("ab")
    file.truncate(sum(len(line) + 1 for line in kept))
    if not kept:
        _append(file, json.dumps({"plan": plan}))
    return file


def _append(file: IO[bytes], line: str) -> None:
    file.write(line.encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())

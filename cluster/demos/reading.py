"""Demonstrations read back from a file that `redline tasks demos` wrote."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from redline.cluster.demos.rows import turns_of
from redline.cluster.errors import UserError
from redline.dsl.demonstrations import RenderedTurn
from redline.dsl.splits import EVALUATION_SPLITS

_EXPECTED = (
    "expected a file of `redline tasks demos`: Arrow, or one JSON object a line with task_id and "
    "turns of state and action"
)


def read_demonstrations(path: Path) -> list[list[RenderedTurn]]:
    """The turns of every demonstration of an .arrow or .jsonl file, in its order.

    Raises UserError naming the first row that is none or that must not be trained on: its task is
    of an evaluation split.
    """
    found = [_checked(path, number, row) for number, row in enumerate(_rows(path), start=1)]
    if not found:
        raise UserError(f"{path}: got no demonstration, {_EXPECTED}")
    return found


def _checked(path: Path, number: int, row: dict[str, Any]) -> list[RenderedTurn]:
    split = row.get("split", "train")
    if split in EVALUATION_SPLITS:
        raise UserError(
            f"{path}:{number}: demonstration {row.get('task_id')!r} is of split {split!r}, which "
            "is for evaluation and never trained on; make demonstrations with --split train"
        )
    try:
        turns = turns_of(row)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}:{number}: no demonstration; {_EXPECTED}") from error
    if not turns:
        raise UserError(f"{path}:{number}: a demonstration without turns; {_EXPECTED}")
    return turns


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        if path.suffix == ".jsonl":
            yield from _json_rows(path)
        else:
            with pa.ipc.open_file(str(path)) as reader:
                for index in range(reader.num_record_batches):
                    yield from reader.get_batch(index).to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read: {reason}; {_EXPECTED}") from error


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(f"{path}:{number}: not JSON; {_EXPECTED}") from error
            if not isinstance(row, dict):
                raise UserError(f"{path}:{number}: not a JSON object; {_EXPECTED}")
            yield row

"""The parts of an unfinished file of demonstrations: whole or not there, and joined at the end.

While `demos.arrow` is being made, `demos.arrow.parts/` holds `plan.json` and one Arrow file for
each part of the tasks. A run that was ended in whatever way goes on with the parts that are
missing; the last act is to join them under the name that was asked for, and to remove the folder.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from redline.cluster.demos.made import MadeDemonstration
from redline.cluster.demos.rows import SCHEMA, batch_of, json_line
from redline.cluster.demos.statistics import DemoCounts
from redline.cluster.errors import UserError
from redline.cluster.files import sync_folder, write_atomically

_COUNTS, _PLAN = b"redline.counts", b"redline.plan"
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


class DemoParts:
    """The folder of parts beside the output file."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output.with_name(f"{output.name}.parts")

    def open(self, plan: dict[str, object]) -> None:
        """Make the folder, or check that the one that is there belongs to the same work."""
        kept = self.folder / "plan.json"
        if not kept.is_file():
            self.folder.mkdir(exist_ok=True)
            write_atomically(kept, json.dumps(plan, indent=1) + "\n")
            return
        before = json.loads(kept.read_text(encoding="utf-8"))
        changed = [name for name in plan if plan[name] != before.get(name)]
        if changed:
            first = changed[0]
            raise UserError(
                f"{self.folder} holds the parts of other work ({first} was {before.get(first)!r}, "
                f"now {plan[first]!r}); give the same options again, choose another --output, or "
                "remove that folder"
            )

    def done(self) -> set[int]:
        """Numbers of the parts that are there."""
        return {int(path.stem.removeprefix("part-")) for path in self.folder.glob("part-*.arrow")}

    def write(self, number: int, made: Sequence[MadeDemonstration], counts: DemoCounts) -> None:
        """Write one part durably, under its name only once it is whole."""
        metadata = {_COUNTS: json.dumps(counts.to_json())}
        path = self._path(number)
        draft = path.with_name(f".{path.name}.tmp")
        _write(draft, iter([batch_of(made)]), metadata)
        draft.replace(path)
        sync_folder(self.folder)

    def counts(self, total: int) -> DemoCounts:
        """The counts of all parts together."""
        summed = DemoCounts()
        for number in range(total):
            with pa.ipc.open_file(self._path(number)) as reader:
                values = json.loads(reader.schema.metadata[_COUNTS])
            summed.add(DemoCounts.from_json(values))
        return summed

    def join(self, total: int, plan: dict[str, object], counts: DemoCounts) -> None:
        """Put the output in place, whole, and remove the parts."""
        draft = self.output.with_name(f".{self.output.name}.tmp")
        if self.output.suffix == ".jsonl":
            _write_lines(draft, self._batches(total))
        else:
            metadata = {_PLAN: json.dumps(plan), _COUNTS: json.dumps(counts.to_json())}
            _write(draft, self._batches(total), metadata)
        draft.replace(self.output)
        sync_folder(self.output.parent)
        shutil.rmtree(self.folder)

    def _batches(self, total: int) -> Iterator[pa.RecordBatch]:
        for number in range(total):
            with pa.ipc.open_file(self._path(number)) as reader:
                for index in range(reader.num_record_batches):
                    yield reader.get_batch(index)

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:05d}.arrow"


def plan_of(schema: pa.Schema) -> dict[str, Any]:
    """The plan that a joined file was made by; empty for a file of other origin."""
    return json.loads((schema.metadata or {}).get(_PLAN, b"{}"))


def _write(path: Path, batches: Iterator[pa.RecordBatch], metadata: dict[bytes, str]) -> None:
    with path.open("wb") as file:
        schema = SCHEMA.with_metadata(metadata)
        with pa.ipc.new_file(file, schema, options=_OPTIONS) as writer:
            for batch in batches:
                writer.write_batch(batch)
        file.flush()
        os.fsync(file.fileno())


def _write_lines(path: Path, batches: Iterator[pa.RecordBatch]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        for batch in batches:
            file.writelines(f"{json_line(row)}\n" for row in batch.to_pylist())
        file.flush()
        os.fsync(file.fileno())

"""Replay store against bare `pyarrow.ipc`: append and read of the same tables, in one run.

Both sides write the same record batches, as many per file, and fsync each file and its directory,
because a write that a crash undoes is no append (`append_unsynced` has no fsync on either side:
what the store itself costs). The store adds checksums, atomic names, the index and the check for
repeated ids. Reading maps the files and sums every token column on both sides; the store
verifies each file's checksum first. Appending and reading Python records is compared with what
pyarrow itself offers for them, `from_pylist` and `to_pylist`. Sides take turns, medians count.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from _report import arguments, print_report, ratio

from redline.replay.catalog import read_batches, read_groups
from redline.replay.encode import group_to_batch
from redline.replay.files import sync_directory
from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn
from redline.replay.schema import SCHEMA
from redline.replay.settings import ReplaySettings
from redline.replay.store import ReplayStore
from redline.sandbox.records import TestResult, TestStatus, Verdict

GROUP_SIZE, TURNS, STATE_TOKENS, ACTION_TOKENS = 8, 5, 90, 14
BAR = 0.7
PER_SEGMENT = ReplaySettings().groups_per_segment
TOKEN_COLUMNS = ("state_token_ids", "action_token_ids", "rollout_logprobs", "weight_versions")
PROGRAM = "def running_total(values, start):\n    total = start\n    for value in values:\n"
PROGRAM += "        total += value\n        if total > 97:\n            total = 0\n    return total"


def make_group(number: int, rng: np.random.Generator) -> TrajectoryGroup:
    """A group of the size that the demo makes, with random tokens."""
    group_id = f"group-{number:06d}"
    return TrajectoryGroup(
        group_id=group_id,
        task_id=f"builtin/lists/running_total-{number:05d}",
        trajectories=tuple(
            _trajectory(group_id, number, index, rng) for index in range(GROUP_SIZE)
        ),
    )


def _trajectory(group_id: str, number: int, index: int, rng: np.random.Generator) -> Trajectory:
    return Trajectory(
        trajectory_id=f"{group_id}/{index}",
        group_id=group_id,
        sample_index=index,
        task_id=f"builtin/lists/running_total-{number:05d}",
        initial_program=PROGRAM,
        turns=tuple(_turn(rng) for _ in range(TURNS)),
        status=TrajectoryStatus.TURN_LIMIT,
        solved=False,
        worker="sampler-0",
        seconds=1.5,
    )


def _turn(rng: np.random.Generator) -> Turn:
    detail = "running_total([1, 2, 3], 0) returned 5, expected 6"
    failed = TestResult(status=TestStatus.FAIL, detail=detail, detail_blind=detail[:38], cpu_ms=0.2)
    return Turn(
        state_token_ids=rng.integers(0, 1000, STATE_TOKENS, np.int32),
        action_token_ids=rng.integers(0, 1000, ACTION_TOKENS, np.int32),
        rollout_logprobs=-rng.random(ACTION_TOKENS, np.float32),
        weight_versions=np.full(ACTION_TOKENS, 3, np.int32),
        action_text="REPL 5 >>>        if total > 99:",
        command="REPL 5 >>>        if total > 99:",
        error=None,
        program=PROGRAM,
        feedback=detail,
        verdict=Verdict(tests=(failed, failed, failed), tier="namespaces", wall_ms=1.2),
        reward=-0.5,
    )


def segments(batches: list[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Batches of one file each."""
    for start in range(0, len(batches), PER_SEGMENT):
        yield batches[start : start + PER_SEGMENT]


def bare_append(folder: Path, batches: list[pa.RecordBatch]) -> None:
    """What one would write with pyarrow alone."""
    for number, part in enumerate(segments(batches)):
        with (folder / f"{number}.arrow").open("wb") as file:
            with pa.ipc.new_file(file, SCHEMA) as writer:
                for batch in part:
                    writer.write_batch(batch)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(folder)


def bare_append_rows(folder: Path, groups: list[list[dict]]) -> None:
    """The same for groups that are lists of dicts."""
    bare_append(folder, [pa.RecordBatch.from_pylist(rows, SCHEMA) for rows in groups])


def bare_batches(folder: Path) -> Iterator[pa.RecordBatch]:
    """What one would read with pyarrow alone."""
    for number in range(len(list(folder.iterdir()))):
        reader = pa.ipc.open_file(pa.memory_map(str(folder / f"{number}.arrow")))
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)


def store_append(folder: Path, batches: list[pa.RecordBatch]) -> None:
    """Append tables to a store."""
    with ReplayStore(folder, groups_per_segment=PER_SEGMENT) as store:
        for batch in batches:
            store.append_batch(batch)


def store_append_records(folder: Path, groups: list[TrajectoryGroup]) -> None:
    """Append records to a store."""
    with ReplayStore(folder, groups_per_segment=PER_SEGMENT) as store:
        for group in groups:
            store.append(group)


@contextmanager
def unsynced() -> Iterator[None]:
    """Make fsync do nothing."""
    fsync = os.fsync
    os.fsync = lambda descriptor: None
    try:
        yield
    finally:
        os.fsync = fsync


def consume(batches: Iterable[pa.RecordBatch]) -> float:
    """Touch every token of every batch, as a learner does."""
    total = 0.0
    for batch in batches:
        turns = batch.column("turns").values
        total += sum(float(turns.field(name).values.to_numpy().sum()) for name in TOKEN_COLUMNS)
    return total


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


class Bench:
    """Times every action in turns, each round in fresh folders."""

    def __init__(self, root: Path, groups: list[TrajectoryGroup]) -> None:
        self.root = root
        self.groups = groups
        self.batches = [group_to_batch(group) for group in groups]
        self.rows = [batch.to_pylist() for batch in self.batches]
        self.times: dict[str, list[float]] = {}

    def round(self) -> None:
        """One measurement of each side, the store's and the bare one's next to each other."""
        folders = [Path(tempfile.mkdtemp(dir=self.root)) for _ in range(5)]
        bare, store, unsynced_store, bare_rows, store_records = folders
        self._time("append bare", lambda: bare_append(bare, self.batches))
        self._time("append store", lambda: store_append(store, self.batches))
        with unsynced():
            self._time("append_unsynced bare", lambda: bare_append(bare, self.batches))
            self._time("append_unsynced store", lambda: store_append(unsynced_store, self.batches))
        self._time("append_records bare", lambda: bare_append_rows(bare_rows, self.rows))
        self._time("append_records store", lambda: store_append_records(store_records, self.groups))
        self._time("read bare", lambda: consume(bare_batches(bare)))
        self._time("read store", lambda: consume(read_batches(store)))
        self._time("read_records bare", lambda: [b.to_pylist() for b in bare_batches(bare)])
        self._time("read_records store", lambda: list(read_groups(store)))
        if consume(bare_batches(bare)) != consume(read_batches(store)):
            raise AssertionError("both sides must read the same tokens")
        for folder in folders:
            shutil.rmtree(folder)

    def _time(self, name: str, action: Callable[[], object]) -> None:
        self.times.setdefault(name, []).append(seconds(action))

    def median(self, name: str) -> float:
        """Median time of all rounds but the first, which warms up."""
        return statistics.median(self.times[name][1:])


def main() -> int:
    """Run and report."""
    options = arguments(__doc__ or "")
    groups, rounds = (200, 6) if options.quick else (1_000, 12)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="redline-replay-") as root:
        bench = Bench(Path(root), [make_group(number, rng) for number in range(groups)])
        for _ in range(rounds):
            bench.round()
    figures: dict[str, float] = {
        "groups": groups,
        "table_mib": sum(b.nbytes for b in bench.batches) / 2**20,
    }
    ratios: dict[str, dict] = {}
    for what, baseline in (
        ("append", "pyarrow.ipc of the same tables, fsynced, groups/s"),
        ("read", "pyarrow.ipc of the same tables, memory-mapped, groups/s"),
        ("append_records", "RecordBatch.from_pylist and pyarrow.ipc, fsynced, groups/s"),
        ("read_records", "pyarrow.ipc and RecordBatch.to_pylist, groups/s"),
    ):
        bare, store = bench.median(f"{what} bare"), bench.median(f"{what} store")
        figures[f"{what}_store_groups_per_s"] = groups / store
        figures[f"{what}_bare_groups_per_s"] = groups / bare
        ratios[what] = ratio(bare / store, BAR, baseline)
    figures["append_store_mib_per_s"] = figures["table_mib"] / bench.median("append store")
    bare, store = bench.median("append_unsynced bare"), bench.median("append_unsynced store")
    figures["append_unsynced_ratio"] = bare / store
    return print_report("store", figures, ratios, ("pyarrow", "numpy"), as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())

"""The sealed segments of a store, found by sequence number and opened when needed."""

import logging
from bisect import bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import pyarrow as pa

from redline.replay.errors import SegmentError
from redline.replay.files import TEMPORARY_SUFFIX, sync_directory
from redline.replay.ledger import GroupEntry
from redline.replay.places import Place
from redline.replay.sampling import batch_priority
from redline.replay.segment import (
    CORRUPT_SUFFIX,
    Segment,
    SegmentName,
    list_segments,
    quarantine,
    write_segment,
)

_log = logging.getLogger(__name__)
_OPEN_SEGMENTS = 64  # each costs a few memory mappings


def group_entry(sequence: int, batch: pa.RecordBatch) -> GroupEntry:
    """What the ledger keeps of a group's batch."""
    oldest = batch.column("oldest_version").to_numpy()
    sampled = oldest[oldest >= 0]
    return GroupEntry(
        sequence=sequence,
        group_id=batch.column("group_id")[0].as_py(),
        trajectories=batch.num_rows,
        oldest_version=int(sampled.min()) if len(sampled) else -1,
        priority=batch_priority(batch),
    )


class Shelf:
    """Segments of one directory; memory-mapped, the least recently used ones closed again."""

    def __init__(self, directory: Place) -> None:
        """Look at the directory; nothing is opened or checked before `check`."""
        self._directory = directory
        self._firsts: list[int] = []
        self._paths: dict[int, Place] = {}
        self._sizes: dict[int, int] = {}
        self._open: OrderedDict[int, Segment] = OrderedDict()

    def check(self) -> Iterator[tuple[Place, list[GroupEntry]]]:
        """Verify every segment and take up the good ones, oldest first, with their groups.

        Corrupt ones are renamed to `*.corrupt` and logged; leftovers of a crash are removed.
        """
        for leftover in self._directory.glob(f"*{TEMPORARY_SUFFIX}"):
            leftover.unlink()
        taken = 0
        for path in list_segments(self._directory):
            try:
                segment = Segment(path)
                if segment.name.first < taken:
                    raise SegmentError(f"{path}: another segment has its numbers")
            except SegmentError as error:
                _log.error("%s; put aside as %s", error, quarantine(path).name)
                continue
            taken = segment.name.stop
            self._register(path, segment.name.first)
            self._keep_open(segment)
            yield path, [group_entry(sequence, batch) for sequence, batch in segment.numbered()]

    def write(self, first: int, batches: Sequence[pa.RecordBatch]) -> Place:
        """Seal batches as the next segment; raises OSError when the disk refuses."""
        path = write_segment(self._directory, first, batches)
        self._register(path, first)
        return path

    def batch(self, sequence: int) -> pa.RecordBatch:
        """The group with this number; KeyError when no segment has it."""
        index = bisect_right(self._firsts, sequence) - 1
        if index < 0:
            raise KeyError(f"{self._directory}: no segment holds group {sequence}")
        segment = self._segment(self._firsts[index])
        if sequence >= segment.name.stop:
            raise KeyError(f"{self._directory}: no segment holds group {sequence}")
        return segment.batch(sequence)

    def remove(self, path: Place) -> None:
        """Delete a segment's file; views into it stay valid while they are held."""
        name = SegmentName.parse(path.name)
        if name is None:
            raise ValueError(f"{path}: not the name of a segment")
        if name.first in self._paths:
            self._firsts.remove(name.first)
            del self._paths[name.first], self._sizes[name.first]
            self._open.pop(name.first, None)
        path.unlink(missing_ok=True)
        sync_directory(self._directory)

    def names(self) -> list[SegmentName]:
        """Names of all segments, oldest first."""
        return [n for p in self.paths() if (n := SegmentName.parse(p.name)) is not None]

    def paths(self) -> list[Place]:
        """Files of all segments, oldest first."""
        return [self._paths[first] for first in self._firsts]

    def corrupt(self) -> list[Place]:
        """Files that were put aside, by this process or an earlier one."""
        return list_segments(self._directory, CORRUPT_SUFFIX)

    def corrupt_names(self) -> list[SegmentName]:
        """Their names, which tell the sequence numbers that are taken."""
        return [n for p in self.corrupt() if (n := SegmentName.parse(p.name)) is not None]

    @property
    def nbytes(self) -> int:
        """Size of all segments."""
        return sum(self._sizes.values())

    def _register(self, path: Place, first: int) -> None:
        insort(self._firsts, first)
        self._paths[first] = path
        self._sizes[first] = path.stat().st_size

    def _segment(self, first: int) -> Segment:
        if first in self._open:
            self._open.move_to_end(first)
        else:
            self._keep_open(Segment(self._paths[first], verify=False))
        return self._open[first]

    def _keep_open(self, segment: Segment) -> None:
        self._open[segment.name.first] = segment
        if len(self._open) > _OPEN_SEGMENTS:
            self._open.popitem(last=False)

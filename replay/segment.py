"""Sealed segments: immutable Arrow IPC files that certify themselves by their name.

A segment is named `segment-<first sequence>-<groups>-<crc32>.arrow` and holds one record batch
per group, so that group i of the segment has sequence number first + i. The CRC-32 covers every
byte of the file. Because name and content appear together (temporary name, fsync, rename, fsync
of the directory; in a bucket, one put), no second file has to agree with it: a segment is there
whole or not at all. Any Arrow reader opens it, DuckDB and polars included.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from redline.replay.errors import SegmentError
from redline.replay.files import map_file, sync_directory, write_atomically
from redline.replay.places import Place
from redline.replay.schema import SCHEMA, check_schema

_NAME = re.compile(r"segment-(\d{10})-(\d{5})-([0-9a-f]{8})\.arrow")
CORRUPT_SUFFIX = ".corrupt"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentName:
    """What the name of a segment file says."""

    first: int
    """Sequence number of its first group."""
    groups: int
    checksum: int
    """CRC-32 of the whole file."""

    @property
    def stop(self) -> int:
        """One more than the sequence number of its last group."""
        return self.first + self.groups

    def __str__(self) -> str:
        return f"segment-{self.first:010d}-{self.groups:05d}-{self.checksum:08x}.arrow"

    @staticmethod
    def parse(name: str) -> "SegmentName | None":
        """The parts of a file name (quarantined ones too), or None for any other file."""
        match = _NAME.fullmatch(name.removesuffix(CORRUPT_SUFFIX))
        if match is None:
            return None
        return SegmentName(first=int(match[1]), groups=int(match[2]), checksum=int(match[3], 16))


def list_segments(directory: Place, suffix: str = "") -> list[Place]:
    """Segment files of a directory in the order of their sequence numbers.

    `suffix` CORRUPT_SUFFIX lists the quarantined ones instead.
    """
    files: list[Place] = [
        path
        for path in directory.glob(f"segment-*.arrow{suffix}")
        if SegmentName.parse(path.name) is not None
    ]
    return sorted(files, key=lambda path: path.name)


def write_segment(directory: Place, first: int, batches: Sequence[pa.RecordBatch]) -> Place:
    """Seal `batches`, one per group, as the groups numbered from `first`; return the file.

    Raises OSError when the disk refuses; then nothing of the segment is left.
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, SCHEMA) as writer:
        for batch in batches:
            writer.write_batch(batch)
    data = sink.getvalue()
    name = SegmentName(first=first, groups=len(batches), checksum=zlib.crc32(data))
    path = directory / str(name)
    write_atomically(path, memoryview(data))
    return path


class Segment:
    """An open segment, memory-mapped: batches and all that is sliced from them copy nothing.

    One in a bucket is read into memory when it is opened.
    """

    def __init__(self, path: Place, *, verify: bool = True) -> None:
        """Map the file; with `verify`, read it once and compare its checksum.

        Raises `SegmentError` naming the file when it is truncated or corrupted,
        `SchemaVersionError` when another version wrote it, FileNotFoundError when it is gone.
        """
        name = SegmentName.parse(path.name)
        if name is None:
            raise SegmentError(f"{path}: not the name of a segment")
        self.path = path
        self.name = name
        try:
            source = map_file(path)
            self.nbytes = source.size()
            if verify:
                self._check_bytes(source)
            self._reader = pa.ipc.open_file(source)
        except (pa.ArrowInvalid, pa.ArrowSerializationError) as error:
            raise SegmentError(f"{path}: not a whole Arrow file ({error})") from error
        check_schema(self._reader.schema, str(path))
        if self._reader.num_record_batches != name.groups:
            raise SegmentError(
                f"{path}: holds {self._reader.num_record_batches} groups, "
                f"expected {name.groups} from its name"
            )

    def _check_bytes(self, source: pa.NativeFile) -> None:
        found = zlib.crc32(source.read_buffer())
        source.seek(0)
        if found != self.name.checksum:
            raise SegmentError(
                f"{self.path}: corrupted or truncated: CRC-32 of its {self.nbytes} bytes is "
                f"{found:08x}, expected {self.name.checksum:08x}"
            )

    def batch(self, sequence: int) -> pa.RecordBatch:
        """The group with this sequence number; IndexError when it is not of this segment."""
        if not self.name.first <= sequence < self.name.stop:
            raise IndexError(f"{self.path}: has no group {sequence}")
        return self._reader.get_batch(sequence - self.name.first)

    def numbered(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """All groups in order, each with its sequence number."""
        for sequence in range(self.name.first, self.name.stop):
            yield sequence, self.batch(sequence)


def quarantine(path: Place) -> Place:
    """Rename a bad segment to `*.corrupt`, out of the store's way but not gone."""
    aside = path.with_name(path.name + CORRUPT_SUFFIX)
    path.replace(aside)  # type: ignore[arg-type]
    sync_directory(path.parent)
    return aside

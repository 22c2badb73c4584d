"""Which group ids lie in which segment: what lets the store name what a bad disk took.

`manifest.log` gets one line for each sealed segment. Segments certify themselves, so nothing is
believed because the manifest says it: it is written without fsync after its segment is durable,
made again from the segments where it falls short, and asked only for segments that are damaged or
gone.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from redline.replay import identity
from redline.replay.errors import JournalError
from redline.replay.journal import open_journal, read_entries, set_journal_aside
from redline.replay.places import Place
from redline.replay.segment import CORRUPT_SUFFIX, SegmentName, list_segments
from redline.replay.sequences import SequenceSet

_log = logging.getLogger(__name__)
_SHORTEN_AT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LostSegment:
    """Groups that a store had and that nobody can read any more."""

    file: str
    state: str
    """What became of the file."""
    first: int
    groups: int
    group_ids: tuple[str, ...]
    """In the order of their numbers; empty when no manifest named them."""

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Sequence number and id of every group whose id is known."""
        return zip(range(self.first, self.first + self.groups), self.group_ids, strict=False)

    def __str__(self) -> str:
        if self.group_ids:
            return f"{self.file}: {self.state}; lost groups: {', '.join(self.group_ids)}"
        last = self.first + self.groups - 1
        return f"{self.file}: {self.state}; lost groups number {self.first} to {last}, ids unknown"


def read_manifest(path: Place) -> dict[str, tuple[str, ...]]:
    """Group ids by segment name of the store at `path`; empty when there is no sound manifest."""
    try:
        lines = read_entries(path / identity.MANIFEST)
    except JournalError as error:
        _log.warning("%s; the manifest is made again from the segments", error)
        return {}
    return {line["file"]: tuple(line["group_ids"]) for line in lines}


def find_lost(
    path: Place,
    manifest: Mapping[str, tuple[str, ...]],
    retired: SequenceSet,
    *,
    sound: Set[str],
    bad: Set[str] = frozenset(),
) -> list[LostSegment]:
    """Every segment that was sealed, cannot be read and was not retired.

    `sound` and `bad` are the names of the files that were read, or could not be; a file that is
    in neither was sealed by the writer in the meantime.
    """
    directory = path / identity.SEGMENTS
    aside = {
        file.name.removesuffix(CORRUPT_SUFFIX): file.name
        for file in list_segments(directory, CORRUPT_SUFFIX)
    }
    lost: list[LostSegment] = []
    for file in sorted({*aside, *bad, *manifest} - sound):
        name = SegmentName.parse(file)
        if name is None or all(n in retired for n in range(name.first, name.stop)):
            continue
        if file in aside:
            state = f"corrupted, set aside as {aside[file]}"
        elif file in bad:
            state = "corrupted"
        elif (directory / file).exists():
            continue
        else:
            state = "missing"
        lost.append(
            LostSegment(
                file=str(directory / file),
                state=state,
                first=name.first,
                groups=name.groups,
                group_ids=manifest.get(file, ()),
            )
        )
    return lost


class Manifest:
    """The manifest of a store that is open for writing."""

    def __init__(self, path: Place) -> None:
        """Read what is there; a damaged file is put aside and begun again."""
        self._file = path / identity.MANIFEST
        self.segments = read_manifest(path)
        try:
            self._journal = open_journal(self._file, durable=False)
        except JournalError:
            set_journal_aside(self._file, CORRUPT_SUFFIX)
            self._journal = open_journal(self._file, durable=False)

    def add(self, file: str, group_ids: Sequence[str]) -> None:
        """Keep the groups of a segment, unless they are kept already."""
        if file in self.segments:
            return
        self.segments[file] = tuple(group_ids)
        try:
            self._journal.append({"file": file, "group_ids": list(group_ids)})
        except OSError as error:
            _log.warning("%s: %s; it is made again from the segments", self._file, error)

    def forget(self, retired: SequenceSet) -> None:
        """Shorten a long file by the segments of retired groups, once they are a quarter of it."""
        if len(self.segments) < _SHORTEN_AT:
            return
        kept = {
            file: ids
            for file, ids in self.segments.items()
            if (name := SegmentName.parse(file)) is None or name.first not in retired
        }
        if 4 * len(kept) > 3 * len(self.segments):
            return
        self.segments = kept
        self._journal.rewrite([{"file": f, "group_ids": ids} for f, ids in kept.items()])

    @property
    def stop(self) -> int:
        """One more than the highest sequence number that was ever sealed, as far as is known."""
        names = [SegmentName.parse(file) for file in self.segments]
        return max((name.stop for name in names if name is not None), default=0)

    def close(self) -> None:
        """Close the file."""
        self._journal.close()

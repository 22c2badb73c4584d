"""Segments are there whole or not at all, and say so."""

import errno
import os

import pyarrow as pa
import pytest
import replay_factories as make
from hypothesis import given, settings
from hypothesis import strategies as st

from redline.replay.decode import batches_to_groups
from redline.replay.encode import group_to_batch
from redline.replay.errors import SegmentError
from redline.replay.segment import Segment, SegmentName, list_segments, quarantine, write_segment


@pytest.fixture
def sealed(tmp_path):
    return write_segment(tmp_path, 7, [group_to_batch(make.group(f"g{i}")) for i in range(3)])


def test_groups_are_found_by_sequence_number(sealed):
    segment = Segment(sealed)
    assert (segment.name.first, segment.name.groups, segment.name.stop) == (7, 3, 10)
    make.assert_same(batches_to_groups([segment.batch(8)]), [make.group("g1")])
    for outside in (6, 10):
        with pytest.raises(IndexError, match=f"has no group {outside}"):
            segment.batch(outside)


def test_any_arrow_reader_opens_a_segment(sealed):
    assert pa.ipc.open_file(str(sealed)).read_all().num_rows == 6


def test_only_the_sealed_name_is_left(sealed):
    assert list(sealed.parent.iterdir()) == [sealed]


@pytest.mark.parametrize("where", [0.0, 0.3, 0.7, 1.0])
def test_a_flipped_bit_is_detected(sealed, where):
    data = bytearray(sealed.read_bytes())
    data[int(where * (len(data) - 1))] ^= 1
    sealed.write_bytes(data)
    with pytest.raises(SegmentError, match=f"{sealed.name}: corrupted"):
        Segment(sealed)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_every_truncation_is_detected(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("cut")
    path = write_segment(directory, 0, [group_to_batch(make.group())])
    with path.open("r+b") as file:
        file.truncate(data.draw(st.integers(0, path.stat().st_size - 1)))
    with pytest.raises(SegmentError, match=r"corrupted or truncated|not a whole Arrow file"):
        Segment(path)


def test_a_segment_under_a_wrong_name_is_refused(sealed):
    name = Segment(sealed).name
    longer = SegmentName(first=name.first, groups=4, checksum=name.checksum)
    sealed.rename(sealed.with_name(str(longer)))
    with pytest.raises(SegmentError, match="holds 3 groups, expected 4"):
        Segment(sealed.with_name(str(longer)))
    with pytest.raises(SegmentError, match="not the name of a segment"):
        Segment(sealed.with_name("notes.arrow"))


def test_quarantine_keeps_the_bytes_and_the_numbers(sealed):
    data = sealed.read_bytes()
    aside = quarantine(sealed)
    assert aside.read_bytes() == data
    assert list_segments(sealed.parent) == []
    assert SegmentName.parse(aside.name) == SegmentName.parse(sealed.name)


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_segment(tmp_path, 0, [group_to_batch(make.group())])
    assert list(tmp_path.iterdir()) == []

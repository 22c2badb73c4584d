"""A journal survives a torn tail, and only that."""

import errno
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redline.replay.errors import JournalError
from redline.replay.journal import Journal, encode_line, read_journal

ENTRIES = [{"op": "commit", "n": n} for n in range(4)]


def write(path, entries=ENTRIES):
    journal = Journal(path)
    for entry in entries:
        journal.append(entry)
    journal.close()


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_torn_last_line_is_cut_off_and_appending_goes_on(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("journal") / "journal.log"
    write(path)
    last = len(encode_line(ENTRIES[-1]))
    kept = path.stat().st_size - data.draw(st.integers(1, last))
    garbage = data.draw(st.binary(max_size=8).filter(lambda b: b"\n" not in b))
    path.write_bytes(path.read_bytes()[:kept] + garbage)
    journal = Journal(path)
    assert journal.entries == ENTRIES[:-1]
    journal.append({"op": "more"})
    journal.close()
    assert read_journal(path)[0] == [*ENTRIES[:-1], {"op": "more"}]


def test_a_damaged_complete_last_line_is_torn_too(tmp_path):
    path = tmp_path / "journal.log"
    write(path)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    assert read_journal(path)[0] == ENTRIES[:-1]


def test_damage_in_the_middle_is_refused_with_its_line(tmp_path):
    path = tmp_path / "journal.log"
    write(path)
    data = path.read_bytes().replace(b'"n":1', b'"n":7')
    path.write_bytes(data)
    with pytest.raises(JournalError, match=r"journal\.log, line 2: checksum"):
        Journal(path)
    assert path.read_bytes() == data


def test_a_failed_append_leaves_no_trace(tmp_path, monkeypatch):
    path = tmp_path / "journal.log"
    write(path)
    journal = Journal(path)
    with monkeypatch.context() as patch:

        def full(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            journal.append({"op": "lost"})
    journal.append({"op": "kept"})
    journal.close()
    assert read_journal(path)[0] == [*ENTRIES, {"op": "kept"}]


def test_a_missing_journal_is_empty(tmp_path):
    assert read_journal(tmp_path / "none.log") == ([], 0)

"""ReplayStore, promise by promise."""

import errno
import os
import subprocess
import sys

import pytest
import replay_factories as make

from redline.replay.cursor import Cursor
from redline.replay.encode import group_to_batch
from redline.replay.errors import (
    InvalidTrajectoryError,
    LeaseError,
    SchemaVersionError,
    StoreError,
)
from redline.replay.records import DropCount, DropReason
from redline.replay.store import ReplayStore


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def store(tmp_path):
    with ReplayStore(tmp_path / "store", groups_per_segment=2) as store:
        yield store


def fill(store, count, start=0, **kwargs):
    for i in range(start, start + count):
        assert store.append(make.group(f"g{i}", **kwargs))


def ids(lease):
    return [group.group_id for group in lease.groups]


def reopen(store, **kwargs):
    store.close()
    return ReplayStore(store.path, **kwargs)


def test_a_group_comes_back_as_it_was(store):
    group = make.group("g0", size=3)
    store.append(group)
    lease = store.lease(1)
    make.assert_same(lease.groups, (group,))


def test_a_group_is_stored_once_buffered_sealed_or_reopened(store):
    assert store.append(make.group("g0"))
    assert not store.append(make.group("g0"))
    store.seal()
    assert not store.append_batch(group_to_batch(make.group("g0")))
    with reopen(store) as again:
        assert not again.append(make.group("g0"))
        assert again.stats().available == 1


def test_groups_of_older_weights_come_first(store):
    for i, version in enumerate([3, 1, 2, 1]):
        store.append(make.group(f"g{i}", version=version))
    assert ids(store.lease(4)) == ["g1", "g3", "g2", "g0"]


def test_leases_are_oldest_first_and_never_overlap(store):
    fill(store, 5)
    assert ids(store.lease(2)) == ["g0", "g1"]
    assert ids(store.lease(2)) == ["g2", "g3"]
    assert store.lease(2) is None
    assert ids(store.lease(2, partial=True)) == ["g4"]
    assert store.lease(2, partial=True) is None


def test_a_lease_that_would_come_short_seals_the_buffer(store):
    fill(store, 3)
    assert store.stats().buffered == 1
    assert ids(store.lease(3)) == ["g0", "g1", "g2"]


def test_a_released_group_keeps_its_place(store):
    fill(store, 4)
    first, second = store.lease(2), store.lease(1)
    store.release(first.lease_id)
    assert ids(store.lease(3)) == ["g0", "g1", "g3"]
    store.release(second.lease_id)
    assert ids(store.lease(1)) == ["g2"]


def test_a_lease_expires_by_the_clock_that_was_given(tmp_path):
    clock = Clock()
    with ReplayStore(tmp_path, lease_seconds=10, clock=clock) as store:
        fill(store, 2)
        lease = store.lease(2)
        clock.now = 9.9
        assert store.lease(1) is None
        clock.now = 10.0
        assert ids(store.lease(2)) == ["g0", "g1"]
        with pytest.raises(LeaseError, match=f"{lease.lease_id} is not held: it expired"):
            store.commit(lease.lease_id)


def test_a_late_commit_counts_while_nobody_else_was_offered_the_groups(tmp_path):
    clock = Clock()
    with ReplayStore(tmp_path, lease_seconds=10, clock=clock) as store:
        fill(store, 2)
        lease = store.lease(2)
        clock.now = 99.0
        store.commit(lease.lease_id)
        assert store.stats().committed == 2


def test_commits_are_durable_and_may_be_repeated(store):
    fill(store, 4)
    lease = store.lease(2)
    store.commit(lease.lease_id)
    store.commit(lease.lease_id)
    with reopen(store) as again:
        again.commit(lease.lease_id)
        assert ids(again.lease(2)) == ["g2", "g3"]
        assert again.stats().committed == 2


def test_a_lease_ends_with_its_store(store):
    fill(store, 2)
    lease = store.lease(2)
    with reopen(store) as again:
        assert again.stats().available == 2
        with pytest.raises(LeaseError, match="not held"):
            again.commit(lease.lease_id)


def test_stale_groups_are_dropped_for_good_and_counted(store):
    fill(store, 2, version=1)
    fill(store, 2, start=2, version=3)
    fill(store, 1, start=4, version=2)
    assert ids(store.lease(2, min_version=2)) == ["g4", "g2"]
    dropped = (DropCount(reason=DropReason.STALE, trajectories=4),)
    assert store.stats().dropped == dropped
    with reopen(store) as again:
        assert again.stats().dropped == dropped
        assert ids(again.lease(3)) == ["g4", "g2", "g3"]


def test_stale_groups_are_dropped_even_when_too_few_are_left(store):
    fill(store, 2, version=0)
    fill(store, 1, start=2, version=5)
    assert store.lease(2, min_version=5) is None
    stats = store.stats()
    assert (stats.dropped_groups, stats.available) == (2, 1)


def test_a_group_without_tokens_is_not_stale(store):
    fill(store, 1, tokens=0)
    assert ids(store.lease(1, min_version=9)) == ["g0"]


def test_rewind_restores_the_state_of_its_cursor(store):
    fill(store, 6, version=1)
    store.commit(store.lease(2).lease_id)
    checkpoint = Cursor.from_json(store.cursor().to_json())
    store.commit(store.lease(2).lease_id)
    assert store.lease(1, min_version=2) is None  # drops g4 and g5
    fill(store, 1, start=6, version=3)
    held = store.lease(1)
    store.rewind(checkpoint)
    assert store.cursor() == checkpoint
    with pytest.raises(LeaseError):
        store.commit(held.lease_id)
    with reopen(store) as again:
        assert again.cursor() == checkpoint
        assert ids(again.lease(5)) == ["g2", "g3", "g4", "g5", "g6"]


def test_rewinding_forward_again_works(store):
    fill(store, 4)
    start = store.cursor()
    store.commit(store.lease(3).lease_id)
    later = store.cursor()
    store.rewind(start)
    store.rewind(later)
    assert ids(store.lease(1)) == ["g3"]


def test_foreign_and_future_cursors_are_refused(store, tmp_path):
    fill(store, 2)
    store.commit(store.lease(2).lease_id)
    cursor = store.cursor()
    with ReplayStore(tmp_path / "other") as other, pytest.raises(StoreError, match="cursor of sto"):
        other.rewind(cursor)
    future = Cursor.from_json(cursor.to_json().replace('"last": 1', '"last": 9'))
    with pytest.raises(StoreError, match="names group 9, but the store has only 2"):
        store.rewind(future)
    for text in ("", "[]", "{}", '{"store_id": 1, "committed": [3], "dropped": []}'):
        with pytest.raises(StoreError, match="not a store cursor"):
            Cursor.from_json(text)


def test_a_corrupt_segment_is_put_aside_and_the_rest_works(store):
    fill(store, 6)
    store.close()
    damaged = sorted((store.path / "segments").iterdir())[1]
    damaged.write_bytes(damaged.read_bytes()[:-50])
    with ReplayStore(store.path) as again:
        assert again.stats().quarantined == (f"{damaged}.corrupt",)
        assert ids(again.lease(4)) == ["g0", "g1", "g4", "g5"]
        assert again.append(make.group("g2"))  # lost, so it may come again
        assert ids(again.lease(1)) == ["g2"]


def test_numbers_of_a_corrupt_last_segment_are_not_used_again(store):
    fill(store, 4)
    store.commit(store.lease(4).lease_id)
    store.close()
    damaged = sorted((store.path / "segments").iterdir())[-1]
    damaged.write_bytes(b"")
    with ReplayStore(store.path) as again:
        fill(again, 1, start=9)
        assert ids(again.lease(1)) == ["g9"]  # would count as committed under number 2 or 3


def test_compact_deletes_done_segments_but_keeps_the_newest(store):
    fill(store, 10)
    store.commit(store.lease(7).lease_id)
    assert store.compact(keep_committed=2) > 0
    stats = store.stats()
    assert (stats.segments, stats.retired, stats.committed) == (3, 4, 7)
    assert not store.append(make.group("g0"))
    with reopen(store) as again:
        assert not again.append(make.group("g0"))
        assert ids(again.lease(3)) == ["g7", "g8", "g9"]


def test_compact_spares_what_a_kept_checkpoint_needs(store):
    fill(store, 8)
    old = store.cursor()
    store.commit(store.lease(4).lease_id)
    checkpoint = store.cursor()
    store.commit(store.lease(4).lease_id)
    store.compact(keep_committed=0, before=checkpoint)
    assert store.stats().retired == 4
    with pytest.raises(StoreError, match="needs 4 groups that retention deleted"):
        store.rewind(old)
    store.rewind(checkpoint)
    assert ids(store.lease(4)) == ["g4", "g5", "g6", "g7"]


def test_a_crash_between_retiring_and_deleting_is_finished_on_opening(store, monkeypatch):
    fill(store, 4)
    store.commit(store.lease(4).lease_id)
    with monkeypatch.context() as patch:
        patch.setattr(type(store._shelf), "remove", lambda self, path: None)
        store.compact(keep_committed=0)
    with reopen(store) as again:
        assert again.stats().segments == 0
        assert again.append(make.group("new"))
        assert ids(again.lease(1)) == ["new"]


def test_a_failed_seal_loses_nothing(store, monkeypatch):
    fill(store, 1)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            store.append(make.group("g1"))
    assert not store.append(make.group("g1"))
    assert ids(store.lease(2)) == ["g0", "g1"]


def test_a_bad_group_costs_only_itself(store):
    bad = make.group("bad")
    bad.trajectories[0].turns[0].rollout_logprobs.resize(1)
    with pytest.raises(InvalidTrajectoryError, match="bad/0"):
        store.append(bad)
    fill(store, 1)
    assert ids(store.lease(1)) == ["g0"]
    assert store.append(make.group("bad"))


def test_a_second_writer_is_refused_with_the_name_of_the_first(store):
    with pytest.raises(StoreError, match=f"process {os.getpid()} writes to this store"):
        ReplayStore(store.path)


def test_a_store_of_another_version_is_refused(store):
    store.close()
    identity = store.path / "store.json"
    identity.write_text(identity.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(SchemaVersionError, match="version 2, but this redline reads version 1"):
        ReplayStore(store.path)


def test_a_long_journal_is_shortened_to_the_same_state(tmp_path, monkeypatch):
    monkeypatch.setattr("redline.replay.history._SHORTEN_AT", 3)
    with ReplayStore(tmp_path) as store:
        fill(store, 8, version=2)
        for _ in range(3):
            store.commit(store.lease(1).lease_id)
        last = store.lease(1)
        store.commit(last.lease_id)
        cursor = store.cursor()
    journal = tmp_path / "journal.log"
    before = len(journal.read_bytes().splitlines())
    with ReplayStore(tmp_path) as again:
        assert again.cursor() == cursor
        again.commit(last.lease_id)  # a retry across the restart
        assert ids(again.lease(1)) == ["g4"]
    assert (before, len(journal.read_bytes().splitlines())) == (4, 1)
    with ReplayStore(tmp_path) as again:
        assert again.cursor() == cursor


def test_views_outlive_their_segment(store):
    fill(store, 2)
    lease = store.lease(2)
    expected = [make.group("g0"), make.group("g1")]
    store.commit(lease.lease_id)
    store.compact(keep_committed=0)
    make.assert_same(list(lease.groups), expected)


def test_many_segments_are_read_with_few_open_files(tmp_path, monkeypatch):
    monkeypatch.setattr("redline.replay.shelf._OPEN_SEGMENTS", 2)
    with ReplayStore(tmp_path, groups_per_segment=1) as store:
        fill(store, 9)
        assert ids(store.lease(9)) == [f"g{i}" for i in range(9)]


def test_wrong_arguments_are_refused(store, tmp_path):
    with pytest.raises(StoreError, match="lease of 0 groups"):
        store.lease(0)
    with pytest.raises(StoreError, match="groups_per_segment is 0"):
        ReplayStore(tmp_path / "x", groups_per_segment=0)


def test_the_room_imports_no_engine():
    code = (
        "import sys, redline.replay.store, redline.replay.render_catalog, redline.replay.export;"
        "print([m for m in ('torch', 'vllm', 'ray', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_long_journal_and_manifest_are_shortened_while_the_store_is_open(store, monkeypatch):
    monkeypatch.setattr("redline.replay.history._SHORTEN_AT", 3)
    monkeypatch.setattr("redline.replay.manifest._SHORTEN_AT", 3)
    fill(store, 12)
    start = store.cursor()
    for _ in range(5):
        store.commit(store.lease(2).lease_id)
    store.compact(keep_committed=2)
    assert len((store.path / "journal.log").read_bytes().splitlines()) == 1
    assert len((store.path / "manifest.log").read_bytes().splitlines()) < 6
    store.commit(store.lease(2).lease_id)
    again = reopen(store)
    assert again.stats().committed == 12
    assert again.stats().lost == ()
    again.close()
    assert start.store_id == again.store_id


def test_batches_that_are_to_be_lent_again_outlive_a_shortened_journal(store, monkeypatch):
    fill(store, 8)
    start = store.cursor()
    trained = []
    for _ in range(3):
        lease = store.lease(2)
        trained.append(ids(lease))
        store.commit(lease.lease_id)
    store.rewind(start)
    monkeypatch.setattr("redline.replay.history._SHORTEN_AT", 2)
    store.compact(keep_committed=100)
    with reopen(store) as again:
        assert [ids(again.lease(2)) for _ in range(3)] == trained

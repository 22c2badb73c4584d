"""A store that is no folder: the same promises through `pyarrow.fs`, whatever a request answers."""

import buckets
import pytest
import replay_factories as make
from hypothesis import given, settings
from hypothesis import strategies as st

from redline.replay.catalog import read_catalog, read_groups
from redline.replay.errors import JournalError, SchemaVersionError, StoreError
from redline.replay.export import export_parquet
from redline.replay.journal import open_journal, read_entries
from redline.replay.places import join_place, place_of, prove_writable
from redline.replay.sql import ask
from redline.replay.store import ReplayStore
from redline.replay.verify import verify_store


@pytest.fixture(params=["memory", "folder", "mock"])
def place(request, tmp_path):
    makers = {"memory": buckets.in_memory, "mock": buckets.mocked}
    return buckets.in_folder(tmp_path) if request.param == "folder" else makers[request.param]()


def names(groups):
    return sorted(group.group_id for group in groups)


def test_what_is_stored_there_is_found_again_and_can_be_looked_at(place, tmp_path):
    with ReplayStore(place, groups_per_segment=2) as store:
        for i in range(5):
            assert store.append(make.group(f"g{i}"))
        store.commit(store.lease(2).lease_id)
    with ReplayStore(place, groups_per_segment=2) as store:
        assert not store.append(make.group("g4"))
        assert (store.stats().available, store.stats().committed) == (3, 2)
        store.compact(keep_committed=0)
        assert store.stats().retired == 2
        lease = store.lease(3)
        make.assert_same(lease.groups[0], make.group("g2"))
    assert names(read_groups(place)) == ["g2", "g3", "g4"]
    assert verify_store(place).ok and verify_store(place).groups == 3
    assert str(place) in read_catalog(place).path
    assert export_parquet(place, tmp_path / "all.parquet") == 6
    assert ask(place, "SELECT count(*) FROM groups").rows == ((3,),)
    assert list(place.glob("*.tmp")) == []


FAULTS = st.lists(st.sampled_from([None, None, "before", "after"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(faults=FAULTS, per_segment=st.integers(1, 3), seed=st.randoms())
def test_whatever_is_retried_there_is_one_copy_of_each_group(faults, per_segment, seed):
    place, handler = buckets.faulty()
    store = ReplayStore(place, groups_per_segment=per_segment)
    handler.faults = iter(faults)
    wanted = [f"g{i}" for i in range(6)]
    for name in wanted:
        for _ in range(50):
            try:
                store.append(make.group(name, size=1))
                break
            except OSError:
                if seed.random() < 0.3:  # a new process tries the rest again
                    store = _reopened(place, per_segment)
    for _ in range(50):
        try:
            store.seal()
            break
        except OSError:
            continue
    handler.faults = iter(())
    missing = sorted(set(wanted) - store.group_ids())
    for name in missing:  # what an older process had only in memory is asked for again
        assert store.append(make.group(name, size=1))
    store.close()
    assert names(read_groups(place)) == wanted
    assert verify_store(place).ok
    with ReplayStore(place) as again:
        assert names(again.lease(6).groups) == wanted


def _reopened(place, per_segment):
    for _ in range(50):
        try:
            return ReplayStore(place, groups_per_segment=per_segment)
        except OSError:
            continue
    raise AssertionError("it never opened")


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.sampled_from(["append", "rewrite", "reopen"]), max_size=30),
    faults=FAULTS,
)
def test_a_journal_of_objects_is_the_list_of_what_was_appended(steps, faults):
    place, handler = buckets.faulty()
    journal = open_journal(place / "journal.log")
    journal._snapshot_every = 4
    handler.faults = iter(faults)
    told, number = [], 0
    for step in steps:
        try:
            if step == "append":
                number += 1
                journal.append({"n": number})
                told.append({"n": number})
            elif step == "rewrite":
                journal.rewrite([{"n": -number}])
                told = [{"n": -number}]
        except OSError:
            handler.faults = iter(())
            journal = open_journal(place / "journal.log")
            told = journal.entries  # nobody knows whether it was written, but it is whole
            assert told in (told, [*told, {"n": number}])
            handler.faults = iter(faults)
        if step == "reopen":
            assert read_entries(place / "journal.log") == told
    handler.faults = iter(())
    assert open_journal(place / "journal.log").entries == told


def test_a_long_journal_is_a_few_objects(place):
    journal = open_journal(place / "journal.log")
    for n in range(200):
        journal.append({"n": n})
    assert len(list((place / "journal.log").glob("*"))) <= 65
    assert open_journal(place / "journal.log").entries == [{"n": n} for n in range(200)]


def test_a_missing_or_damaged_entry_is_refused_but_for_the_last(place):
    journal = open_journal(place / "journal.log")
    for n in range(4):
        journal.append({"n": n})
    last, middle = (place / "journal.log" / f"{n:010d}.entry" for n in (3, 1))
    last.write_whole(b"half of i")
    assert len(read_entries(place / "journal.log")) == 3
    middle.write_whole(b"rubbish\n")
    with pytest.raises(JournalError, match=r"0000000001\.entry, line 1: checksum"):
        open_journal(place / "journal.log")
    middle.unlink()
    with pytest.raises(JournalError, match="entry 1 is missing"):
        open_journal(place / "journal.log")


def test_a_newer_writer_takes_over_and_the_older_one_stops(place):
    old = ReplayStore(place, groups_per_segment=1)
    old.append(make.group("g0"))
    lease = old.lease(1)
    new = ReplayStore(place, groups_per_segment=1)
    with pytest.raises(StoreError, match="another process writes to this store"):
        old.append(make.group("g1"))
    with pytest.raises(StoreError, match="trained on twice"):
        old.commit(lease.lease_id)
    assert new.append(make.group("g1"))
    assert names(new.lease(2).groups) == ["g0", "g1"]


def test_two_segments_of_the_same_numbers_do_not_hide_each_other(tmp_path):
    with ReplayStore(tmp_path / "a", groups_per_segment=1) as store:
        store.append(make.group("g0"))
    with ReplayStore(tmp_path / "b", groups_per_segment=1) as store:
        store.append(make.group("other"))
    (stray,) = (tmp_path / "b" / "segments").iterdir()
    stray.rename(tmp_path / "a" / "segments" / stray.name)
    with ReplayStore(tmp_path / "a") as store:
        assert store.stats().available == 1
        assert len(store.stats().quarantined) == 1


def test_a_bucket_without_rights_is_told_in_one_line():
    place, handler = buckets.faulty()
    prove_writable(place)
    handler.read_only = True
    with pytest.raises(StoreError, match=r"memory://.*: cannot write to it .*AccessDenied") as told:
        prove_writable(place)
    assert "rights to list, read, write and delete" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_folder_that_cannot_be_made_is_told_too(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot make the folder"):
        prove_writable(place_of(tmp_path / "file" / "store"))
    prove_writable(place_of(tmp_path / "new" / "store"))
    assert list((tmp_path / "new" / "store").iterdir()) == []


def test_a_store_of_another_version_is_refused_there_too(place):
    ReplayStore(place).close()
    (place / "store.json").write_whole(b'{"schema_version": 9, "store_id": "x"}')
    for look in (ReplayStore, read_catalog, verify_store):
        with pytest.raises(SchemaVersionError, match="schema version 9, but this redline reads"):
            look(place)


def test_a_url_that_leads_nowhere_is_told():
    with pytest.raises(StoreError, match="nowhere://bucket/x: no way to this store"):
        place_of("nowhere://bucket/x")


def test_urls_paths_and_their_parts(tmp_path):
    assert place_of(f"file://{tmp_path}/a%20b") == tmp_path / "a b"
    assert (
        join_place("s3://bucket/stores/?region=eu", "demo") == "s3://bucket/stores/demo?region=eu"
    )
    assert join_place(str(tmp_path), "demo") == str(tmp_path / "demo")
    inside = buckets.in_memory() / "a" / "b"
    assert (inside.name, inside.parent.name, inside.with_name("c").name) == ("b", "a", "c")
    assert inside < inside.with_name("c") and inside == inside.parent / "b"


def test_a_manifest_that_cannot_be_written_costs_nothing(tmp_path, monkeypatch, caplog):
    with ReplayStore(tmp_path, groups_per_segment=1) as store:

        def full(entry):
            raise OSError("No space left on device")

        monkeypatch.setattr(store._manifest._journal, "append", full)
        assert store.append(make.group("g0"))
        assert "No space left" in caplog.text
        assert names(store.lease(1).groups) == ["g0"]
        assert not store.append(make.group("g0"))
    assert verify_store(tmp_path).groups == 1

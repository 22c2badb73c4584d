"""What a bad disk takes is set aside, named, and only what was not trained on is taken again."""

import pytest
import replay_factories as make

from redline.replay.catalog import read_catalog
from redline.replay.store import ReplayStore
from redline.replay.verify import verify_store


@pytest.fixture
def path(tmp_path):
    """Three segments: g0 and g1 committed, g2 to g5 waiting."""
    with ReplayStore(tmp_path, groups_per_segment=2) as store:
        for i in range(6):
            store.append(make.group(f"g{i}"))
        store.commit(store.lease(2).lease_id)
    return tmp_path


def segments(path):
    return sorted((path / "segments").glob("*.arrow"))


def cut(file):
    with file.open("r+b") as handle:
        handle.truncate(file.stat().st_size // 2)


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 4
    file.write_bytes(data)


DAMAGE = pytest.mark.parametrize("damage", [cut, flip, lambda file: file.unlink()])


@DAMAGE
def test_a_damaged_last_segment_is_named_and_taken_again(path, damage, caplog):
    damage(segments(path)[-1])
    assert any(p.endswith("lost groups: g4, g5") for p in verify_store(path).problems)
    with ReplayStore(path, groups_per_segment=2) as store:
        assert "lost groups: g4, g5" in caplog.text
        assert store.stats().lost == ("g4", "g5")
        assert any(p.endswith("lost groups: g4, g5") for p in read_catalog(path).problems)
        assert store.append(make.group("g4")) and store.append(make.group("g5"))
        assert store.stats().lost == ()
        assert [g.group_id for g in store.lease(4).groups] == ["g2", "g3", "g4", "g5"]
    with ReplayStore(path) as again:  # the numbers of what was lost are not used twice
        assert again.stats().lost == () and again.stats().available == 4


@DAMAGE
def test_a_damaged_group_that_was_trained_on_is_not_taken_again(path, damage):
    start = None
    damage(segments(path)[0])
    with ReplayStore(path) as store:
        assert store.stats().lost == ()
        assert not store.append(make.group("g0"))
        start = store.cursor()
    with ReplayStore(path) as store:
        fresh = type(start)(store_id=start.store_id, committed=(), dropped=())
        store.rewind(fresh)  # to before it was trained on
        assert store.stats().lost == ("g0", "g1")
        assert store.append(make.group("g0"))


def test_a_store_without_manifest_gets_one(path):
    manifest = path / "manifest.log"
    text = manifest.read_bytes()
    manifest.unlink()
    ReplayStore(path).close()
    assert manifest.read_bytes() == text
    lines = text.splitlines(keepends=True)
    manifest.write_bytes(b"rubbish\n" + b"".join(lines[1:]))
    assert verify_store(path).ok
    with ReplayStore(path) as store:
        assert store.stats().lost == ()
    assert manifest.read_bytes() == text


def test_what_retention_deleted_is_not_lost(path, monkeypatch):
    monkeypatch.setattr("redline.replay.manifest._SHORTEN_AT", 1)
    with ReplayStore(path) as store:
        store.compact(keep_committed=0)
    for _ in range(2):
        with ReplayStore(path) as store:
            assert store.stats().lost == ()
    assert verify_store(path).ok
    assert len((path / "manifest.log").read_bytes().splitlines()) == 2


def test_a_damaged_file_without_manifest_is_named_by_numbers(path):
    cut(segments(path)[-1])
    (path / "manifest.log").unlink()
    (problem,) = [p for p in verify_store(path).problems if "ids unknown" in p]
    assert "lost groups number 4 to 5" in problem

"""A store behind pyarrow's own S3 client, and what a bucket without rights answers."""

import pytest
import replay_factories as make
import s3_server
from pyarrow import fs as pafs

from redline.cluster.main import run
from redline.replay.catalog import read_groups
from redline.replay.errors import StoreError
from redline.replay.places import place_of, prove_writable
from redline.replay.store import ReplayStore
from redline.replay.verify import verify_store

pytestmark = pytest.mark.skipif(
    not hasattr(pafs, "S3FileSystem"), reason="this pyarrow was built without S3"
)


@pytest.fixture
def server():
    with s3_server.serve() as made:
        yield made


def test_a_store_lives_in_a_bucket(server):
    url = server.url("bucket/stores/demo")
    prove_writable(place_of(url))
    with ReplayStore(url, groups_per_segment=2) as store:
        for i in range(5):
            store.append(make.group(f"g{i}"))
        store.commit(store.lease(2).lease_id)
    with ReplayStore(url) as store:
        assert not store.append(make.group("g4"))
        assert (store.stats().available, store.stats().committed) == (3, 2)
        assert store.compact(keep_committed=0) > 0
    assert sorted(g.group_id for g in read_groups(url)) == ["g2", "g3", "g4"]
    assert verify_store(url).ok
    assert all(key.startswith("bucket/stores/demo/") for key in server.objects)


@pytest.mark.parametrize("denied", ["PUT POST", "GET HEAD", "DELETE", "GET HEAD PUT POST DELETE"])
def test_a_bucket_without_rights_is_told_in_one_line(server, denied):
    server.denied = frozenset(denied.split())
    with pytest.raises(StoreError, match=r"127\.0\.0\.1.*: cannot .*rights to list") as told:
        prove_writable(place_of(server.url("bucket/stores/demo")))
    assert "ACCESS" in str(told.value).upper()
    assert "\n" not in str(told.value)
    assert "secret" not in str(told.value)


def test_looking_into_a_bucket_without_rights_is_refused(server, capfd):
    server.denied = frozenset({"GET", "HEAD"})
    assert run(["replay", "ls", server.url("bucket/stores/demo")]) == 2
    _, err = capfd.readouterr()
    assert "ACCESS_DENIED" in err
    assert len(err.splitlines()) == 1

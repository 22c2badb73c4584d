"""A lease that takes more groups on: committed together, lent again together."""

import pytest
import replay_factories as make

from redline.replay.errors import LeaseError
from redline.replay.store import ReplayStore


@pytest.fixture
def store(tmp_path):
    with ReplayStore(tmp_path / "store", groups_per_segment=2) as store:
        yield store


def fill(store, names, version=0):
    for name in names:
        assert store.append(make.group(name, version=version))


def ids(lease):
    return [group.group_id for group in lease.groups]


def test_an_extended_lease_is_whole_in_its_order_and_committed_at_once(store):
    fill(store, ["g0", "g1"], version=2)
    lease = store.lease(2)
    fill(store, ["g2", "g3", "g4"], version=1)
    longer = store.extend(lease.lease_id, 2)
    assert longer.lease_id == lease.lease_id
    assert ids(longer) == ["g2", "g3", "g0", "g1"]  # oldest weights first
    assert store.extend(lease.lease_id, 2) is None
    assert (store.stats().leased, store.stats().available) == (4, 1)
    store.commit(lease.lease_id)
    assert (store.stats().committed, store.stats().available) == (4, 1)


def test_an_extended_batch_is_lent_again_as_it_was(store):
    start = store.cursor()
    fill(store, ["g0", "g1", "g2", "g3", "g4", "g5"])
    for more in (1, 0):
        lease = store.lease(2)
        if more:
            store.extend(lease.lease_id, more)
        store.commit(lease.lease_id)
    store.rewind(start)
    fill(store, ["g6"])
    again = store.lease(2, extended=True)
    assert ids(again) == ["g0", "g1", "g2"]
    store.commit(again.lease_id)
    assert ids(store.lease(2, extended=True)) == ["g3", "g4"]


def test_a_released_extension_goes_back_whole(store):
    fill(store, ["g0", "g1", "g2"])
    lease = store.lease(1)
    store.extend(lease.lease_id, 1)
    store.release(lease.lease_id)
    assert ids(store.lease(3)) == ["g0", "g1", "g2"]


def test_extending_begins_the_time_of_a_lease_anew(tmp_path):
    now = [0.0]
    with ReplayStore(tmp_path, lease_seconds=10.0, clock=lambda: now[0]) as store:
        fill(store, ["g0", "g1", "g2"])
        lease = store.lease(1)
        now[0] = 9.0
        store.extend(lease.lease_id, 1)
        now[0] = 18.0
        assert ids(store.lease(1)) == ["g2"]
        store.commit(lease.lease_id)
        assert store.stats().committed == 2


def test_a_lease_that_ended_cannot_be_extended(store):
    fill(store, ["g0", "g1"])
    lease = store.lease(1)
    store.commit(lease.lease_id)
    with pytest.raises(LeaseError, match=lease.lease_id):
        store.extend(lease.lease_id, 1)
    assert store.stats().available == 1

"""Writes that break off half-way, as on a full disk: with room again, each is done once."""

import resource
from contextlib import contextmanager

import pytest
import replay_factories as make

from redline.replay.catalog import GroupState, read_catalog
from redline.replay.store import ReplayStore
from redline.replay.verify import verify_store


@contextmanager
def room(nbytes):
    """No file may grow beyond so many bytes: a write that would stops there, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Repeated:
    """Does everything twice when the first time fails."""

    def __init__(self, nbytes):
        self.nbytes, self.failures = nbytes, 0

    def __call__(self, action, *arguments):
        try:
            with room(self.nbytes):
                return action(*arguments)
        except OSError:
            self.failures += 1
            return action(*arguments)


@pytest.mark.parametrize("nbytes", [0, 1, 50, 100, 150, 300, 1000, 3000])
def test_what_broke_off_is_done_once_when_it_is_repeated(tmp_path, nbytes):
    done = Repeated(nbytes)
    with ReplayStore(tmp_path, groups_per_segment=2) as store:
        for number in range(6):
            done(store.append, make.group(f"g{number}"))
        for _ in range(2):
            done(store.commit, done(store.lease, 2).lease_id)
        cursor = store.cursor()
        done(store.commit, done(store.lease, 1).lease_id)
        done(store.rewind, cursor)
    assert done.failures >= 3
    assert verify_store(tmp_path).problems == ()
    with ReplayStore(tmp_path, groups_per_segment=2) as again:
        assert [group.group_id for group in again.lease(2).groups] == ["g4", "g5"]
        assert again.lease(1) is None
    catalog = read_catalog(tmp_path)
    assert sorted(group.group_id for group in catalog.groups) == [f"g{n}" for n in range(6)]
    assert catalog.count(GroupState.COMMITTED) == 4

"""A stateful comparison of ReplayStore with a model of a few sets and lists."""

import shutil
import tempfile
from pathlib import Path

import buckets
import pytest
import replay_factories as make
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from redline.replay.cursor import Cursor
from redline.replay.errors import LeaseError, StoreError
from redline.replay.records import DropReason
from redline.replay.sampling import Sampling
from redline.replay.settings import SamplingPolicy
from redline.replay.store import ReplayStore

LEASE_SECONDS = 10.0


class Checkpoint:
    def __init__(self, cursor, committed, dropped):
        self.cursor, self.committed, self.dropped = cursor, committed, dropped


class StoreMachine(RuleBasedStateMachine):
    """The model: `sealed` and `buffered` ids in order, and sets of what happened to them."""

    leases = Bundle("leases")
    checkpoints = Bundle("checkpoints")
    policy = SamplingPolicy.FIFO

    def __init__(self):
        super().__init__()
        self.path = self.place()
        self.now = 0.0
        self.store = self.open()
        self.versions = {}
        self.sealed = []
        self.buffered = []
        self.committed = set()
        self.dropped = set()
        self.held = {}
        self.gone = set()
        self.batches = []
        self.position = 0

    def place(self):
        return Path(tempfile.mkdtemp(prefix="redline-store-"))

    def open(self):
        return ReplayStore(
            self.path,
            groups_per_segment=3,
            lease_seconds=LEASE_SECONDS,
            sampling=Sampling(policy=self.policy, seed=7),
            clock=lambda: self.now,
        )

    def available(self):
        taken = {name for names, _ in self.held.values() for name in names}
        free = [n for n in self.sealed if n not in self.committed | self.dropped | taken]
        return sorted(free, key=lambda name: self.versions[name])  # stable: then by arrival

    def model_seal(self):
        self.sealed += self.buffered
        self.buffered = []

    @rule(number=st.integers(0, 30), version=st.integers(0, 5))
    def append(self, number, version):
        name = f"g{number}"
        new = name not in self.versions
        assert self.store.append(make.group(name, size=1, version=version)) is new
        if new:
            self.versions[name] = version
            self.buffered.append(name)
            if len(self.buffered) == 3:
                self.model_seal()

    @rule()
    def seal(self):
        self.store.seal()
        self.model_seal()

    @rule(
        target=leases,
        count=st.integers(1, 5),
        min_version=st.none() | st.integers(0, 5),
        partial=st.booleans(),
    )
    def lease(self, count, min_version, partial):
        for lease_id, (_, deadline) in list(self.held.items()):
            if deadline <= self.now:
                del self.held[lease_id]
        if min_version is not None or len(self.available()) < count:
            self.model_seal()
        floor = -1 if min_version is None else min_version
        fresh = [name for name in self.available() if self.versions[name] >= floor]
        self.dropped |= {name for name in self.available() if self.versions[name] < floor}
        expected = self.batch_again(count, fresh)
        enough = partial or len(fresh) >= count
        lease = self.store.lease(count, min_version=min_version, partial=partial)
        if not (enough and fresh):
            assert lease is None
            return multiple()
        names = [group.group_id for group in lease.groups]
        if expected is None and self.policy is SamplingPolicy.FIFO:
            expected = fresh[:count]
        assert names == (expected or sorted(names, key=fresh.index))
        assert len(names) == min(count, len(fresh))
        if min_version is not None:  # what the next step could not take is not left behind
            left = [name for name in fresh if name not in names]
            due = [name for name in left if self.versions[name] == floor]
            assert expected or not due or all(self.versions[n] == floor for n in names)
        self.held[lease.lease_id] = (names, self.now + LEASE_SECONDS)
        return lease.lease_id

    def batch_again(self, count, fresh):
        """The batch after the last rewind that is lent again, oldest weights first."""
        for batch in self.batches[self.position :]:
            if len(batch) == count and batch <= set(fresh):
                return [name for name in fresh if name in batch]
        return None

    @rule(lease_id=leases, repeat=st.booleans())
    def commit(self, lease_id, repeat):
        if lease_id in self.held:
            names, _ = self.held.pop(lease_id)
            self.committed |= set(names)
            ahead = [b for b in self.batches[self.position :] if b.isdisjoint(names)]
            self.batches[self.position :] = [set(names), *ahead]
            self.position += 1
            self.store.commit(lease_id)
            if repeat:
                self.store.commit(lease_id)

    @rule(lease_id=consumes(leases))
    def release(self, lease_id):
        if lease_id in self.held:
            del self.held[lease_id]
            self.store.release(lease_id)
        else:
            with pytest.raises(LeaseError):
                self.store.release(lease_id)

    @rule(seconds=st.floats(0, 8))
    def wait(self, seconds):
        self.now += seconds

    @rule(target=checkpoints)
    def checkpoint(self):
        cursor = Cursor.from_json(self.store.cursor().to_json())
        return Checkpoint(cursor, set(self.committed), set(self.dropped))

    @rule(checkpoint=checkpoints)
    def rewind(self, checkpoint):
        if self.gone <= checkpoint.committed | checkpoint.dropped:
            self.store.rewind(checkpoint.cursor)
            self.committed = set(checkpoint.committed)
            self.dropped = set(checkpoint.dropped)
            self.held = {}
            trained = [batch <= self.committed for batch in self.batches]
            self.position = [*trained, False].index(False)
        else:
            with pytest.raises(StoreError, match="retention deleted"):
                self.store.rewind(checkpoint.cursor)

    @rule(keep=st.integers(0, 6), checkpoint=st.none() | checkpoints)
    def compact(self, keep, checkpoint):
        if checkpoint is not None and not self.gone <= checkpoint.committed | checkpoint.dropped:
            return
        before = self.on_disk()
        self.store.compact(
            keep_committed=keep, before=None if checkpoint is None else checkpoint.cursor
        )
        removed = before - self.on_disk()
        done = self.committed | self.dropped
        if checkpoint is not None:
            done &= checkpoint.committed | checkpoint.dropped
        assert removed <= done
        assert len(before & done) - len(removed) >= min(keep, len(before & done))
        self.gone |= removed

    def on_disk(self):
        return {entry.group_id for entry in self.store._ledger.entries.values()}

    @rule(crash=st.booleans())
    def reopen(self, crash):
        if crash:  # as if killed: nothing is sealed or closed in an orderly way
            self.store._history.close()
            self.store._manifest.close()
            self.store._lock.release()
            for name in self.buffered:
                del self.versions[name]
            self.buffered = []
        else:
            self.store.close()
            self.model_seal()
        self.held = {}
        self.store = self.open()

    @precondition(lambda self: self.store is not None)
    @invariant()
    def figures_agree(self):
        stats = self.store.stats()
        assert stats.buffered == len(self.buffered)
        assert stats.available == len(self.available())
        assert stats.leased == sum(len(names) for names, _ in self.held.values())
        assert stats.committed == len(self.committed)
        assert stats.retired == len(self.gone)
        counts = {entry.reason: entry.trajectories for entry in stats.dropped}
        assert counts.get(DropReason.STALE, 0) == len(self.dropped)

    def teardown(self):
        self.store.close()
        self.remove()

    def remove(self):
        shutil.rmtree(self.path)


StoreMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestStoreAgainstModel = StoreMachine.TestCase


class UniformMachine(StoreMachine):
    """The same promises when groups are drawn."""

    policy = SamplingPolicy.UNIFORM


class PrioritizedMachine(StoreMachine):
    """The same promises when groups are drawn by advantage."""

    policy = SamplingPolicy.PRIORITIZED


class BucketMachine(StoreMachine):
    """The same promises in a bucket."""

    def place(self):
        return buckets.in_memory()

    def remove(self):
        self.path.filesystem.delete_dir(self.path.key)


UniformMachine.TestCase.settings = settings(StoreMachine.TestCase.settings, max_examples=15)
PrioritizedMachine.TestCase.settings = settings(StoreMachine.TestCase.settings, max_examples=10)
BucketMachine.TestCase.settings = settings(StoreMachine.TestCase.settings, max_examples=10)
TestStoreInABucketAgainstModel = BucketMachine.TestCase
TestUniformStoreAgainstModel = UniformMachine.TestCase
TestPrioritizedStoreAgainstModel = PrioritizedMachine.TestCase

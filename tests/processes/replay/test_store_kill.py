"""kill -9 of the writing process at random moments: every sealed group is found, once."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import replay_factories as make

from redline.replay.store import ReplayStore
from redline.replay.verify import verify_store

WRITER = """
import sys
from itertools import count
import replay_factories as make
from redline.replay.store import ReplayStore

store = ReplayStore(sys.argv[1], groups_per_segment=3)
say = lambda *words: print(*words, flush=True)
say("ready")
for number in count():
    name = f"g{number}"
    new = store.append(make.group(name, size=1))
    if store.stats().buffered == 0:
        say("sealed", number)
    if number % 5 == 4 and (lease := store.lease(2)) is not None:
        store.commit(lease.lease_id)
        say("committed", *(group.group_id for group in lease.groups))
"""


def run_and_kill(path: Path, seconds: float) -> list[list[str]]:
    """Run the writer, kill it `seconds` after it started writing; return what it reported."""
    env = os.environ | {"PYTHONPATH": str(Path(make.__file__).parent)}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=env
    )
    assert writer.stdout.readline() == "ready\n"
    time.sleep(seconds)
    writer.send_signal(signal.SIGKILL)
    reported = writer.stdout.read().split("\n")[:-1]  # a torn last report is no report
    assert writer.wait() == -signal.SIGKILL
    return [line.split() for line in reported]


@pytest.mark.parametrize("seed", range(2))
def test_nothing_sealed_is_lost_and_nothing_is_twice(tmp_path, seed):
    moments = random.Random(seed)
    committed: set[str] = set()
    for _ in range(5):
        reports = run_and_kill(tmp_path, moments.uniform(0.0, 0.08))
        sealed = max((int(words[1]) for words in reports if words[0] == "sealed"), default=-1)
        for words in reports:
            if words[0] == "committed":
                assert committed.isdisjoint(words[1:]), "a group was lent again after its commit"
                committed |= set(words[1:])
        assert verify_store(tmp_path).ok
        with ReplayStore(tmp_path) as store:
            for number in range(sealed + 1):
                assert not store.append(make.group(f"g{number}", size=1))
            stats = store.stats()
            assert stats.quarantined == ()
            # the last commit may have become durable without having been reported
            assert len(committed) <= stats.committed <= len(committed) + 2
            lease = store.lease(max(stats.available, 1), partial=True)
            waiting = [group.group_id for group in lease.groups] if lease else []
            assert committed.isdisjoint(waiting)
            assert len(set(waiting)) == len(waiting)
            assert stats.committed + len(waiting) == stats.trajectories
            known = {entry.group_id for entry in store._ledger.entries.values()}
            committed = known - set(waiting)

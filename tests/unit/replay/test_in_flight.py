"""Groups in flight come back as they were saved: turn by turn, token by token."""

import dataclasses

import buckets
import numpy as np
import pytest
import replay_factories as make
import replay_strategies as strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from redline.replay.in_flight import decode_in_flight, encode_in_flight
from redline.replay.places import place_of
from redline.replay.records import DropReason, EpisodeSoFar, PartialGroup, TrajectoryStatus
from redline.replay.store import ReplayStore


def partial(name="g0", *, ended=1, running=2, version=3):
    episodes = make.group(name, size=ended + running, version=version).trajectories
    return PartialGroup(
        group_id=name,
        task_id="task-1",
        ended=episodes[:ended],
        running=tuple(
            EpisodeSoFar(
                trajectory=dataclasses.replace(t, status=TrajectoryStatus.ABORTED, solved=False),
                next_state=np.arange(4, dtype=np.int32),
            )
            for t in episodes[ended:]
        ),
    )


@st.composite
def partials(draw):
    group = draw(strategies.groups(st.text(min_size=1, max_size=5)))
    ended, running = [], []
    for trajectory in group.trajectories:
        if trajectory.turns and draw(st.booleans()):
            state = draw(st.lists(st.integers(0, 9), max_size=4))
            running.append(
                EpisodeSoFar(trajectory=trajectory, next_state=np.array(state, np.int32))
            )
        else:
            ended.append(trajectory)
    return PartialGroup(
        group_id=group.group_id, task_id=group.task_id, ended=tuple(ended), running=tuple(running)
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(partials(), max_size=3))
def test_whatever_was_in_flight_is_read_back(groups):
    import pyarrow as pa

    data = encode_in_flight(groups)
    make.assert_same(decode_in_flight(pa.BufferReader(data), "test"), groups)


@pytest.fixture(params=["folder", "bucket"])
def place(request, tmp_path):
    return place_of(tmp_path) if request.param == "folder" else buckets.in_memory()


def test_the_last_save_counts_and_stored_groups_are_left_out(place):
    with ReplayStore(place) as store:
        assert store.in_flight() == ()
        store.save_in_flight([partial("g0")])
        store.save_in_flight([partial("g1"), partial("g2")])
        assert store.append(make.group("g2"))
    with ReplayStore(place) as store:
        make.assert_same(store.in_flight(), (partial("g1"),))
        store.save_in_flight([])
        assert store.in_flight() == ()
    assert len(list(place.glob("in_flight-*"))) == 1


def test_what_is_in_flight_no_more_is_durable(place):
    with ReplayStore(place, groups_per_segment=4) as store:
        store.append(make.group("g0"))
        store.save_in_flight([partial("g1")])
        assert store.stats().buffered == 0


def test_groups_without_a_turn_are_not_saved(place):
    with ReplayStore(place) as store:
        store.save_in_flight([partial("g0", ended=0, running=0), partial("g1")])
        assert [group.group_id for group in store.in_flight()] == ["g1"]


def test_a_damaged_save_is_told_and_begun_again(tmp_path, caplog):
    with ReplayStore(tmp_path) as store:
        store.save_in_flight([partial("g0")])
        (file,) = tmp_path.glob("in_flight-*")
        file.write_bytes(file.read_bytes()[:-20])
        assert store.in_flight() == ()
    assert "corrupted or truncated; the groups in it are begun again" in caplog.text


def test_versions_are_those_of_all_tokens():
    assert partial(version=3).versions == (3, 3)
    assert partial(ended=0, running=0).versions is None


def test_a_discarded_group_is_stored_once_counted_and_never_lent(tmp_path):
    with ReplayStore(tmp_path) as store:
        store.append(make.group("g0"))
        assert store.discard(make.group("old", size=3), DropReason.STALE)
        assert not store.discard(make.group("old", size=3), DropReason.STALE)
    with ReplayStore(tmp_path) as store:
        assert [(d.reason, d.trajectories) for d in store.stats().dropped] == [
            (DropReason.STALE, 3)
        ]
        assert not store.append(make.group("old"))
        assert [group.group_id for group in store.lease(5, partial=True).groups] == ["g0"]

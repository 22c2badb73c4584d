"""Policies: their odds, their determinism, and that none makes a group too old."""

from collections import Counter

import numpy as np
import pytest
import replay_factories as make
from hypothesis import given
from hypothesis import strategies as st

from redline.replay.records import TrajectoryGroup
from redline.replay.sampling import Candidate, Sampling, choose, priority
from redline.replay.settings import SamplingPolicy
from redline.replay.store import ReplayStore


def candidates(*priorities):
    return [
        Candidate(sequence=i, oldest_version=0, priority=value)
        for i, value in enumerate(priorities)
    ]


def first_picks(sampling, pool, draws=4_000):
    return Counter(sampling.order(pool, draw)[0].sequence for draw in range(draws))


def test_uniform_draws_each_as_often():
    counts = first_picks(Sampling(policy=SamplingPolicy.UNIFORM, seed=3), candidates(0, 5, 0, 9))
    assert all(850 < counts[i] < 1150 for i in range(4))  # 5.5 standard deviations


def test_prioritized_draws_in_proportion_to_the_weights():
    sampling = Sampling(policy=SamplingPolicy.PRIORITIZED, seed=3, exponent=2.0)
    counts = first_picks(sampling, candidates(0.49, 0.99, 0.0))
    assert 650 < counts[0] < 950 and 3050 < counts[1] < 3350 and counts[2] < 10


def test_the_same_seed_and_state_draw_the_same():
    pool = candidates(*range(20))
    for policy in SamplingPolicy:
        order = Sampling(policy=policy, seed=5).order(pool, 7)
        assert order == Sampling(policy=policy, seed=5).order(pool[::-1], 7)
    uniform = Sampling(policy=SamplingPolicy.UNIFORM, seed=5)
    assert uniform.order(pool, 7) != uniform.order(pool, 8)
    assert uniform.order(pool, 7) != Sampling(policy=SamplingPolicy.UNIFORM).order(pool, 7)


def test_priority_is_the_mean_deviation_from_the_groups_mean():
    assert priority(np.array([1.0, 0.0, 0.0, 1.0])) == 0.5
    assert priority(np.array([0.3, 0.3])) == 0.0
    assert priority(np.array([])) == 0.0


@given(
    versions=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    flying=st.lists(st.integers(0, 3), max_size=6),
    count=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_whatever_can_be_trained_in_time_is(versions, flying, count, seed):
    """If the oldest-first order drops nothing, no policy does."""
    waiting = dict(enumerate(versions))

    def due(names, k):
        return sum(waiting[n] <= k for n in names) + sum(start <= k for start in flying)

    def in_time(chosen):
        return all(due(set(waiting) - set(chosen), k) <= k * count for k in range(4))

    pool = [Candidate(sequence=i, oldest_version=v, priority=0.0) for i, v in waiting.items()]
    order = Sampling(policy=SamplingPolicy.UNIFORM, seed=seed).order(pool, 0)
    chosen = choose(order, count, 0, flying)
    assert len(chosen) == min(count, len(versions)) == len(set(chosen))
    assert in_time(chosen) or not in_time(sorted(waiting, key=waiting.__getitem__)[:count])


def test_groups_that_differ_in_reward_come_first(tmp_path):
    sampling = Sampling(policy=SamplingPolicy.PRIORITIZED, exponent=8.0)
    with ReplayStore(tmp_path, groups_per_segment=1, sampling=sampling) as store:
        for i in range(6):
            members = tuple(
                make.trajectory(f"g{i}", j, (make.turn(reward=float(i == 4 and j)),))
                for j in range(2)
            )
            store.append(TrajectoryGroup(group_id=f"g{i}", task_id="task-1", trajectories=members))
        assert store.lease(1).groups[0].group_id == "g4"


@pytest.mark.parametrize("policy", list(SamplingPolicy))
def test_a_rewound_store_lends_the_same_batches_again(tmp_path, policy):
    sampling = Sampling(policy=policy, seed=1)
    with ReplayStore(tmp_path, sampling=sampling) as store:
        for i in range(12):
            store.append(make.group(f"g{i}", version=1))
        start = store.cursor()
        batches = []
        for i in range(3):
            lease = store.lease(3, min_version=0)
            batches.append([g.group_id for g in lease.groups])
            store.commit(lease.lease_id)
            store.append(make.group(f"late{i}", version=0))  # older than what was committed
    with ReplayStore(tmp_path, sampling=sampling) as store:
        store.rewind(start)
        for expected in batches:
            lease = store.lease(3, min_version=0)
            assert [g.group_id for g in lease.groups] == expected
            store.commit(lease.lease_id)

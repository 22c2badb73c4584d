"""The numbers of a run: checked names and labels, counters that survive restarts, rates."""

import dataclasses
import math

import cluster_fakes as fakes
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stats_fakes import make_engine, make_pool, make_sampler, make_store

from redline.cluster.metrics import curves_of
from redline.cluster.monitoring.board import Board
from redline.cluster.monitoring.definitions import Role
from redline.cluster.monitoring.numbers import Numbers, Rate, own_numbers
from redline.replay.records import DropCount, DropReason


def value(board, name, **labels):
    found = [
        s.value for s in board.samples() if s.name == name and s.labels.items() >= labels.items()
    ]
    assert found, f"{name} {labels} is not known"
    return sum(found)


def test_only_what_is_defined_is_taken():
    board = Board()
    with pytest.raises(ValueError, match="no gauge"):
        board.set("redline_nonsense", 1)
    with pytest.raises(ValueError, match="no gauge"):
        board.set("redline_steps", 1)
    with pytest.raises(ValueError, match="no counter"):
        board.add("redline_step", 1)
    with pytest.raises(ValueError, match=r"expected \['phase', 'role'\]"):
        board.add("redline_phase_seconds", 1)
    with pytest.raises(ValueError, match="cannot grow by -1"):
        board.add("redline_steps", -1)
    assert board.samples() == []


def test_a_number_that_is_not_finite_leaves_the_old_one():
    board = Board()
    board.set("redline_kl", 0.5)
    board.set("redline_kl", math.nan)
    assert value(board, "redline_kl") == 0.5


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), max_size=5))
def test_a_followed_count_adds_up_over_restarts(lives):
    """Each life of a worker counts from 0; what was counted before it is kept."""
    board, expected = Board(), 0
    board.add("redline_sampled_tokens", 0, worker="w")
    for life in lives:
        total = 0
        board.follow("redline_sampled_tokens", 0, worker="w")  # it is asked before it counts
        for grown in life:
            total += grown
            board.follow("redline_sampled_tokens", total, worker="w")
        expected += total
    assert value(board, "redline_sampled_tokens") == expected


def test_forgotten_gauges_go_and_counters_stay():
    board = Board()
    board.set("redline_running_episodes", 5, worker="a")
    board.set("redline_running_episodes", 6, worker="b")
    board.add("redline_sampled_tokens", 7, worker="a")
    board.forget(worker="a")
    assert value(board, "redline_running_episodes") == 6
    assert value(board, "redline_sampled_tokens", worker="a") == 7


def test_a_step_sets_gauges_and_adds_up_counters():
    board = Board()
    numbers = Numbers(board)
    for step in (1, 2):
        report = fakes.make_report(step)
        numbers.take_step(report, curves_of(report), step)
    assert value(board, "redline_steps") == 2
    assert value(board, "redline_step") == 2
    assert value(board, "redline_solve_rate") == 0.5
    assert value(board, "redline_weight_pause_seconds") == pytest.approx(1e-3)
    assert value(board, "redline_phase_seconds", phase="train_step") == pytest.approx(2.0)
    assert value(board, "redline_last_phase_seconds", phase="train_step") == pytest.approx(1.0)
    assert value(board, "redline_idle_ratio", role="sampler") == pytest.approx(0.1)
    assert value(board, "redline_groups", state="in_flight") == 3


def test_drops_are_counted_by_reason():
    board = Board()
    dropped = (DropCount(reason=DropReason.NO_SIGNAL, trajectories=4),)
    result = fakes.make_result(1, 1, [fakes.make_group("g", "t", [0])], [0])
    report = fakes.make_report(result=dataclasses.replace(result, dropped=dropped))
    Numbers(board).take_step(report, curves_of(report), 1)
    assert value(board, "redline_dropped_trajectories", reason="no_signal") == 4
    assert value(board, "redline_dropped_trajectories", reason="stale") == 0


def test_workers_are_known_by_what_they_tell():
    board = Board()
    numbers = Numbers(board)
    assert numbers.take("sampler-0", make_sampler(engine=make_engine())) is Role.SAMPLER
    assert numbers.take("sandbox-0", make_pool()) is Role.SANDBOX
    assert numbers.take("replay", make_store()) is Role.REPLAY
    assert value(board, "redline_sampled_tokens", worker="sampler-0", role="sampler") == 300
    assert value(board, "redline_engine_prefix_hit_tokens") == 60
    assert value(board, "redline_sandbox_kills", reason="SIGSYS") == 1
    assert value(board, "redline_sandbox_kills", reason="wall") == 0
    assert value(board, "redline_sandbox_tests", status="timeout") == 10
    assert value(board, "redline_groups", state="available") == 3
    assert value(board, "redline_store_lost_groups") == 1


def test_a_sampler_without_proven_weights_has_version_minus_one():
    board = Board()
    Numbers(board).take("sampler-0", make_sampler(version=None))
    assert value(board, "redline_sampler_version") == -1


def test_rates_are_those_of_the_last_seconds():
    rate = Rate(window_seconds=10.0)
    assert rate.of(100, now=0.0) == 0.0
    assert rate.of(150, now=5.0) == pytest.approx(10.0)
    assert rate.of(150, now=10.0) == pytest.approx(5.0)
    assert rate.of(150, now=30.0) == 0.0
    assert rate.of(20, now=40.0) == 0.0  # it was started again
    assert rate.of(30, now=50.0) == pytest.approx(1.0)


def test_a_workers_own_numbers_have_flat_names():
    numbers = own_numbers(make_sampler(engine=make_engine()))
    assert numbers["episodes"] == 8
    assert numbers["engine/kv_cache_usage"] == 0.5
    assert "worker" not in numbers
    assert own_numbers(make_pool())["kills/SIGSYS"] == 1

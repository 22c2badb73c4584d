"""The index of the dashboard: it grows with a store, and answers searches over it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_folders import GROUP_SIZE, GROUPS_PER_STEP, add_groups, make_groups

from redline.cluster.dashboard.group_fates import GroupFates
from redline.cluster.dashboard.index import TrajectoryIndex
from redline.cluster.dashboard.lookup import NotStored, find, find_group
from redline.cluster.dashboard.query import Order, Query, QueryError, parse_query
from redline.cluster.dashboard.search import facets, group_rows, search
from redline.replay.catalog import GroupState
from redline.replay.ledger import Ledger
from redline.replay.records import DropReason, TrajectoryStatus
from redline.replay.sequences import SequenceSet
from redline.replay.store import ReplayStore


@pytest.fixture
def index(tmp_path):
    add_groups(tmp_path, 12)
    index = TrajectoryIndex(tmp_path)
    index.refresh()
    return index


def ids(result):
    return [row.trajectory_id for row in result.rows]


def test_a_store_that_is_not_there_yet_is_empty(tmp_path):
    index = TrajectoryIndex(tmp_path / "replay")
    index.refresh()
    assert search(index.snapshot, Query()).total == 0
    add_groups(tmp_path / "replay", 4)
    assert index.refresh()
    assert search(index.snapshot, Query()).total == 4 * GROUP_SIZE


def test_a_refresh_reads_only_new_segments_beside_the_writer(tmp_path, monkeypatch):
    from redline.cluster.dashboard import index as module

    read = []
    real = module.read_segment_rows
    monkeypatch.setattr(module, "read_segment_rows", lambda p: read.append(p.name) or real(p))
    index = TrajectoryIndex(tmp_path)
    with ReplayStore(tmp_path, groups_per_segment=2) as store:
        seen = []
        for group in make_groups(6):
            store.append(group)
            index.refresh()
            seen.append(index.snapshot.table.num_rows // GROUP_SIZE)
        assert seen == [0, 2, 2, 4, 4, 6]
        assert not index.refresh()
        assert len(read) == len(set(read)) == 3
        lease = store.lease(GROUPS_PER_STEP)
        store.commit(lease.lease_id)
        assert index.refresh()
    states = index.snapshot.table.column("state").to_pylist()
    assert states.count("committed") == GROUPS_PER_STEP * GROUP_SIZE
    assert len(read) == 3


def test_reading_leaves_the_store_as_it_is(index):
    before = {p: (p.stat().st_size, p.stat().st_mtime_ns) for p in index.store.rglob("*")}
    index.refresh()
    find(index, "g00000003/1")
    assert before == {p: (p.stat().st_size, p.stat().st_mtime_ns) for p in index.store.rglob("*")}


def test_what_retention_deletes_is_forgotten(index):
    with ReplayStore(index.store, groups_per_segment=4) as store:
        store.compact(keep_committed=4)
    assert index.refresh()
    assert search(index.snapshot, Query()).total == 4 * GROUP_SIZE
    with pytest.raises(NotStored, match="retention"):
        find(index, "g00000000/0")


def test_a_damaged_segment_is_a_problem_and_the_rest_stays(index):
    file = sorted((index.store / "segments").glob("*.arrow"))[1]
    file.write_bytes(file.read_bytes()[:-100] + b"x" * 100)
    again = TrajectoryIndex(index.store)
    again.refresh()
    assert search(again.snapshot, Query()).total == 8 * GROUP_SIZE
    (problem,) = again.snapshot.problems
    assert file.name in problem


def test_a_damaged_journal_leaves_the_states_unknown(index):
    journal = index.store / "journal.log"
    journal.write_bytes(journal.read_bytes().replace(b"commit", b"cammit", 1))
    index.refresh()
    assert "journal.log" in index.snapshot.problems[0]
    assert set(index.snapshot.table.column("state").to_pylist()) == {None}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"text": "TOTALS"}, 3 * 8),
        ({"text": "g00000003/"}, 8),
        ({"status": "solved"}, 12 * 4),
        ({"status": "aborted"}, 0),
        ({"worker": "sampler-1"}, 6 * 8),
        ({"step_min": "2", "step_max": "2"}, 4 * 8),
        ({"step_min": "2"}, 8 * 8),
        ({"state": "committed"}, 12 * 8),
        ({"reward_min": "0.5", "status": "turn_limit"}, 0),
        ({"text": "count", "status": "solved", "step_max": "1"}, 4),
        ({"text": "", "status": "", "worker": " "}, 96),
    ],
)
def test_searches(index, parameters, expected):
    result = search(index.snapshot, parse_query(parameters))
    assert (result.found, result.total) == (expected, 96)


def test_a_reward_that_is_a_rounded_sum_is_found_by_its_name(index):
    rewards = {round(row.reward, 9) for row in search(index.snapshot, Query(limit=96)).rows}
    for reward in rewards:
        found = search(index.snapshot, Query(reward_min=reward, reward_max=reward, limit=96))
        assert found.found > 0
        assert all(row.reward == pytest.approx(reward) for row in found.rows)


def test_orders_and_pages(index):
    assert ids(search(index.snapshot, Query(limit=2))) == ["g00000011/0", "g00000011/1"]
    oldest = search(index.snapshot, Query(order=Order.OLDEST, limit=2, offset=8))
    assert ids(oldest) == ["g00000001/0", "g00000001/1"]
    best = search(index.snapshot, Query(order=Order.BEST, limit=96)).rows
    assert [r.reward for r in best] == sorted((r.reward for r in best), reverse=True)
    worst = search(index.snapshot, Query(order=Order.WORST, limit=96)).rows
    assert [r.reward for r in worst] == sorted(r.reward for r in worst)
    longest = search(index.snapshot, Query(order=Order.LONGEST, limit=96)).rows
    assert [r.tokens for r in longest] == sorted((r.tokens for r in longest), reverse=True)


def test_facets_and_groups(index):
    found = facets(index.snapshot)
    assert found.workers == ("sampler-0", "sampler-1")
    assert dict(found.statuses)[TrajectoryStatus.SOLVED] == 48
    assert [row.sample_index for row in group_rows(index.snapshot, "g00000002")] == list(range(8))
    assert group_rows(index.snapshot, "nothing") == ()


def test_a_trajectory_is_found_with_its_group(index):
    found = find(index, "g00000005/3")
    assert found.trajectory.trajectory_id == "g00000005/3"
    assert found.facts.step == 2
    assert len(found.group) == GROUP_SIZE
    assert find_group(index, "g00000005").group_id == "g00000005"
    with pytest.raises(NotStored, match="no trajectory 'g9'"):
        find(index, "g9")
    with pytest.raises(NotStored, match="no group 'g9'"):
        find_group(index, "g9")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"status": "sovled"}, "status is 'sovled', expected one of solved, exited"),
        ({"reward_min": "high"}, "reward_min is 'high', expected a number"),
        ({"reward_min": "nan"}, "expected a number"),
        ({"step_min": "-1"}, "step_min is '-1', expected a whole number"),
        ({"step_min": "9" * 30}, "expected a whole number"),
        ({"step_min": "²"}, "expected a whole number"),
        ({"order": "random"}, "order is 'random'"),
    ],
)
def test_a_query_that_says_nothing_sensible_is_refused(parameters, message):
    with pytest.raises(QueryError, match=message):
        parse_query(parameters)


@given(st.dictionaries(st.sampled_from(["text", "worker", "offset", "order"]), st.text()))
def test_any_address_gives_a_query_or_a_one_line_error(parameters):
    try:
        query = parse_query(parameters)
    except QueryError as error:
        assert "\n" not in str(error)
        return
    from urllib.parse import parse_qsl

    assert parse_query(dict(parse_qsl(query.to_parameters()))) == query


def fates(*batches, dropped=()):
    ledger = Ledger()
    for batch in batches:
        ledger.commit_batch(SequenceSet.of(batch))
    ledger.drop(dropped, DropReason.STALE)
    return GroupFates(ledger)


def test_fates_tell_states_steps_and_reasons():
    import numpy as np

    told = fates([0, 1], [2, 5], dropped=[3])
    numbers = np.arange(7)
    assert told.states(numbers).to_pylist() == [
        "committed", "committed", "committed", "dropped", "waiting", "committed", "waiting"
    ]  # fmt: skip
    assert told.steps(numbers).to_pylist() == [1, 1, 2, None, None, 2, None]
    assert told.reasons(numbers).to_pylist()[3] == "stale"
    assert {*told.states(numbers).to_pylist()} <= {*GroupState}


def test_steps_are_counted_on_after_a_shortened_journal(tmp_path):
    """An opened store shortens a journal of over 1,000 lines to its newest 512 batches."""
    from redline.cluster.dashboard.group_fates import read_fates
    from redline.replay.history import History

    (tmp_path / "segments").mkdir()
    history = History(tmp_path, "id")
    for step in range(1_100):
        history.committed(f"lease-{step}", [2 * step, 2 * step + 1])
    history.close()
    history = History(tmp_path, "id")
    history.replay(Ledger())
    history.committed("lease-1100", [2_200, 2_201])
    history.close()
    lines = (tmp_path / "journal.log").read_text().splitlines()
    assert len(lines) == 2
    assert len(json.loads(lines[0][9:])["batches"]) == 512
    import numpy as np

    steps = read_fates(tmp_path).steps(np.array([2_200, 2_199, 0])).to_pylist()
    assert steps == [1_101, 1_100, None]

"""The flat tables say what the nested rows say, and reading a segment copies nothing."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import replay_factories as make
from hypothesis import given, settings
from replay_strategies import groups

from redline.replay.catalog import read_batches
from redline.replay.encode import group_to_batch
from redline.replay.export import export_parquet, table_batches
from redline.replay.store import ReplayStore
from redline.replay.tables import SCHEMAS, TableName, token_rows, trajectory_rows, turn_rows
from redline.sandbox.records import TestStatus


@pytest.fixture
def path(tmp_path):
    with ReplayStore(tmp_path / "store", groups_per_segment=2) as store:
        for i in range(4):
            store.append(make.group(f"g{i}", version=i, tokens=500))
        store.commit(store.lease(1).lease_id)
    return tmp_path / "store"


@given(groups())
@settings(max_examples=40, deadline=None)
def test_every_token_and_turn_has_its_row(group):
    batch = group_to_batch(group)
    tokens, turns = token_rows(batch), turn_rows(batch)
    for table in (tokens, turns, trajectory_rows(batch)):
        table.validate(full=True)
    expected = [
        (t.trajectory_id, number, token, mask)
        for t in group.trajectories
        for number, turn in enumerate(t.turns)
        for mask, ids in ((False, turn.state_token_ids), (True, turn.action_token_ids))
        for token in ids.tolist()
    ]
    names = ("trajectory_id", "turn", "token_id", "mask")
    assert list(zip(*(tokens.column(n).to_pylist() for n in names), strict=True)) == expected
    positions = [p for t in group.trajectories for p in range(t.num_tokens)]
    assert tokens.column("position").to_pylist() == positions
    every = [turn for t in group.trajectories for turn in t.turns]
    for column, name in (("logprob", "rollout_logprobs"), ("weight_version", "weight_versions")):
        flat = np.concatenate([getattr(turn, name) for turn in every] or [np.empty(0)])
        np.testing.assert_array_equal(tokens.column(column).drop_null().to_numpy(), flat)
    assert turns.column("command").to_pylist() == [turn.command for turn in every]
    assert turns.column("reward").to_pylist() == [turn.reward for turn in every]


@pytest.mark.parametrize(
    ("fields", "status", "passed"),
    [
        ({"command": None, "error": "unknown", "verdict": None}, "malformed", 0),
        ({"error": "no line 9", "verdict": None}, "impossible", 0),
        ({"verdict": None}, "unchanged", 0),
        ({"verdict": make.verdict(TestStatus.PASS, TestStatus.PASS)}, "pass", 2),
        ({"verdict": make.verdict(TestStatus.PASS, TestStatus.TIMEOUT)}, "timeout", 1),
    ],
)
def test_a_turn_has_one_status(fields, status, passed):
    group = make.group()
    turns = (make.turn(), make.turn(**fields))
    members = (make.trajectory(turns=turns), *group.trajectories[1:])
    object.__setattr__(group, "trajectories", members)
    row = turn_rows(group_to_batch(group)).slice(1, 1).to_pylist()[0]
    assert (row["turn"], row["status"], row["tests_passed"]) == (1, status, passed)


def test_reading_token_columns_allocates_nothing(path):
    before = pa.total_allocated_bytes()
    total, batches = 0.0, []
    for batch in read_batches(path):
        turns = batch.column("turns").values
        for name in ("state_token_ids", "action_token_ids", "rollout_logprobs"):
            array = turns.field(name).values.to_numpy(zero_copy_only=True)
            assert not array.flags.owndata and not array.flags.writeable
            total += float(array.sum())
        batches.append(batch)
    tokens = sum(batch.column("tokens").to_numpy().sum() for batch in batches)
    assert tokens == 4 * 2 * 1500 and total != 0
    assert pa.total_allocated_bytes() - before < tokens  # bytes: less than one per token


@pytest.mark.parametrize("table", list(TableName))
def test_a_table_is_exported(path, tmp_path, table):
    rows = export_parquet(path, tmp_path / "t.parquet", table)
    read = pq.read_table(tmp_path / "t.parquet")
    assert rows == read.num_rows == {"groups": 4, "tokens": 12_000}.get(table, 8)
    expected = pa.Table.from_batches(list(table_batches(path, table)), SCHEMAS[table])
    assert read.equals(expected)


def test_groups_have_their_state_and_priority(path):
    (batch, *_) = table_batches(path, TableName.GROUPS)
    row = batch.to_pylist()[0]
    assert (row["group_id"], row["state"], row["solved"]) == ("g0", "committed", 2)
    assert row["priority"] == 0.0

"""Records to Arrow and back."""

import dataclasses
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import replay_factories as make
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_strategies import groups

from redline.replay.decode import batches_to_groups, table_to_groups
from redline.replay.encode import group_to_batch, groups_to_table
from redline.replay.errors import InvalidTrajectoryError, SchemaVersionError
from redline.replay.records import TrajectoryGroup
from redline.replay.schema import SCHEMA, VERSION_KEY


@given(st.lists(groups(), max_size=3, unique_by=lambda g: g.group_id))
@settings(max_examples=60, deadline=None)
def test_round_trip_is_exact(originals):
    table = groups_to_table(originals)
    table.validate(full=True)
    make.assert_same(table_to_groups(table), originals)


@given(groups())
@settings(max_examples=30, deadline=None)
def test_derived_columns_agree_with_the_records(group):
    batch = group_to_batch(group)
    trajectories = group.trajectories
    assert batch.column("tokens").to_pylist() == [t.num_tokens for t in trajectories]
    assert batch.column("oldest_version").to_pylist() == [t.oldest_version for t in trajectories]
    rewards = batch.column("reward").to_pylist()
    for got, trajectory in zip(rewards, trajectories, strict=True):
        assert got == pytest.approx(trajectory.total_reward, rel=1e-6, abs=1e-6)


def test_a_slice_of_a_batch_decodes_to_its_rows():
    group = make.group(size=4)
    (part,) = batches_to_groups([group_to_batch(group).slice(1, 2)])
    make.assert_same(part.trajectories, group.trajectories[1:3])


def test_token_arrays_are_views_of_one_buffer():
    group = TrajectoryGroup(group_id="g0", task_id="task-1", trajectories=(make.trajectory(),))
    (back,) = batches_to_groups([group_to_batch(group)])
    first, second = (turn.action_token_ids for turn in back.trajectories[0].turns)
    assert not first.flags.owndata and not first.flags.writeable
    assert second.ctypes.data == first.ctypes.data + first.nbytes


def test_parquet_round_trip(tmp_path):
    originals = [make.group("a"), make.group("b")]
    pq.write_table(groups_to_table(originals), tmp_path / "t.parquet")
    make.assert_same(table_to_groups(pq.read_table(tmp_path / "t.parquet")), originals)


@pytest.mark.parametrize("reward", [math.nan, math.inf])
def test_reward_must_be_finite(reward):
    bad = make.trajectory(index=1, turns=(make.turn(), make.turn(reward=reward)))
    group = TrajectoryGroup(
        group_id="g0", task_id="task-1", trajectories=(make.trajectory(turns=()), bad)
    )
    with pytest.raises(InvalidTrajectoryError, match=r"g0/1, turn 1: reward is (nan|inf)"):
        group_to_batch(group)


@pytest.mark.parametrize("name", ["rollout_logprobs", "weight_versions"])
def test_action_arrays_must_have_one_length(name):
    turn = make.turn(tokens=3)
    short = dataclasses.replace(turn, **{name: getattr(turn, name)[:2]})
    group = TrajectoryGroup(
        group_id="g0", task_id="task-1", trajectories=(make.trajectory(turns=(turn, short)),)
    )
    with pytest.raises(InvalidTrajectoryError, match=rf"g0/0, turn 1: {name} has 2 .* expected 3"):
        group_to_batch(group)


@pytest.mark.parametrize(
    "tokens", [np.zeros(3, np.int64), np.zeros((1, 3), np.int32), [1, 2, 3]], ids=str
)
def test_arrays_must_have_the_documented_type(tokens):
    turn = make.turn(action_token_ids=tokens)
    group = TrajectoryGroup(
        group_id="g0", task_id="task-1", trajectories=(make.trajectory(turns=(turn,)),)
    )
    with pytest.raises(InvalidTrajectoryError, match=r"g0/0, turn 0: action_token_ids is .* int32"):
        group_to_batch(group)


def test_ids_must_fit_together():
    def group(*members):
        return TrajectoryGroup(group_id="g0", task_id="task-1", trajectories=members)

    with pytest.raises(InvalidTrajectoryError, match="g0: got no trajectories"):
        group_to_batch(group())
    with pytest.raises(InvalidTrajectoryError, match="group_id is 'other'"):
        group_to_batch(group(make.trajectory("other")))
    with pytest.raises(InvalidTrajectoryError, match="task_id is 'x'"):
        group_to_batch(group(make.trajectory(task_id="x")))
    with pytest.raises(InvalidTrajectoryError, match="g0/0 is twice"):
        group_to_batch(group(make.trajectory(), make.trajectory()))
    with pytest.raises(InvalidTrajectoryError, match="UTF-8"):
        group_to_batch(group(make.trajectory(worker="\ud800")))


def test_a_group_whose_sample_has_no_tokens_keeps_its_oldest_version():
    members = (make.trajectory(turns=()), make.trajectory(index=1, turns=(make.turn(version=7),)))
    group = TrajectoryGroup(group_id="g0", task_id="task-1", trajectories=members)
    assert group.oldest_version == 7


def test_other_schema_versions_are_refused_by_name():
    table = groups_to_table([make.group()])
    with pytest.raises(SchemaVersionError, match="schema version 99"):
        table_to_groups(table.replace_schema_metadata({VERSION_KEY: "99"}))
    with pytest.raises(SchemaVersionError, match="columns differ"):
        table_to_groups(table.drop_columns("worker").replace_schema_metadata(SCHEMA.metadata))
    with pytest.raises(SchemaVersionError, match="schema version none"):
        table_to_groups(pa.table({"x": [1]}))

"""`redline replay` as docs/replay.md shows it, and what it refuses."""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from redline.cluster.main import run
from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn
from redline.replay.store import ReplayStore

DOCS = Path(__file__).parents[3] / "docs" / "replay.md"
EXAMPLES = re.findall(r"^redline (replay .*)$", DOCS.read_text(), re.MULTILINE)


def make_group(name):
    ids = np.arange(3, dtype=np.int32)
    turn = Turn(
        state_token_ids=ids, action_token_ids=ids, rollout_logprobs=-np.ones(3, np.float32),
        weight_versions=ids, action_text="EXIT", command="EXIT", error=None, program="p",
        feedback="", verdict=None, reward=0.5,
    )  # fmt: skip
    trajectory = Trajectory(
        trajectory_id=f"{name}/0", group_id=name, sample_index=0, task_id="t", initial_program="p",
        turns=(turn,), status=TrajectoryStatus.EXITED, solved=False, worker="w", seconds=0.1,
    )  # fmt: skip
    return TrajectoryGroup(group_id=name, task_id="t", trajectories=(trajectory,))


@pytest.fixture
def redline(capfd, tmp_path, monkeypatch):
    """Run a command beside `runs/NAME`, whose store holds one group; its status and output."""
    monkeypatch.chdir(tmp_path)
    with ReplayStore(tmp_path / "runs" / "NAME" / "replay") as store:
        store.append(make_group("GROUP"))

    def call(*arguments):
        status = run(list(arguments))
        return status, *capfd.readouterr()

    return call


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_page_work(redline, example):
    arguments = shlex.split(example)
    if arguments[1] == "sql" and importlib.util.find_spec("duckdb") is None:
        pytest.skip("DuckDB is not installed")
    status, out, err = redline(*arguments)
    assert status == 0, err
    status, out, err = redline(*(a.replace(".parquet", "2.parquet") for a in arguments), "--json")
    assert status == 0, err
    assert isinstance(json.loads(out), dict)


def test_the_page_shows_every_command():
    assert {shlex.split(e)[1] for e in EXAMPLES} == {"ls", "show", "verify", "export", "sql"}


@pytest.mark.parametrize("command", ["ls", "verify"])
def test_a_store_of_another_version_is_wrong_input(redline, tmp_path, command):
    identity = tmp_path / "runs" / "NAME" / "replay" / "store.json"
    identity.write_text(identity.read_text().replace('"schema_version": 1', '"schema_version": 9'))
    status, out, err = redline("replay", command, "runs/NAME")
    assert (status, out) == (2, "")
    assert "store of schema version 9, but this redline reads version 1" in err
    assert err.count("\n") == 1


def test_a_wrong_table_is_wrong_input(redline):
    status, _, err = redline("replay", "export", "runs/NAME", "x.parquet", "--table", "turn")
    assert status == 2
    assert "--table turn: expected one of groups, trajectories, turns, tokens" in err


def test_a_damaged_segment_is_named_with_its_groups(redline, tmp_path):
    (segment,) = (tmp_path / "runs" / "NAME" / "replay" / "segments").iterdir()
    segment.write_bytes(segment.read_bytes()[:-9])
    status, out, _ = redline("replay", "verify", "runs/NAME", "--json")
    assert status == 1
    assert any("lost groups: GROUP" in problem for problem in json.loads(out)["problems"])

"""Questions in SQL: answered from the store, and reaching nothing else."""

import io
import json
import sys

import pytest
import replay_factories as make
from rich.console import Console

from redline.replay.errors import StoreError
from redline.replay.render_answer import render_answer
from redline.replay.sql import Answer, ask
from redline.replay.store import ReplayStore
from redline.replay.to_json import answer_to_json


@pytest.fixture
def path(tmp_path):
    with ReplayStore(tmp_path / "store", groups_per_segment=2) as store:
        for i in range(3):
            store.append(make.group(f"g{i}", version=i))
        store.commit(store.lease(1).lease_id)
    return tmp_path / "store"


@pytest.fixture
def duckdb():
    return pytest.importorskip("duckdb")


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT state, count(*) FROM groups GROUP BY 1 ORDER BY 1",
         [("committed", 1), ("waiting", 2)]),
        ("SELECT status, sum(num_turns) FROM trajectories GROUP BY 1", [("solved", 6)]),
        ("SELECT command, status FROM turns LIMIT 1", [("REPL 2 >>>    total = a + b", "fail")]),
        ("SELECT weight_version, count(*) FROM tokens WHERE mask GROUP BY 1 ORDER BY 1",
         [(0, 6), (1, 6), (2, 6)]),
        ("SELECT count(*) FROM turns JOIN groups USING (group_id) WHERE state = 'waiting'", [(4,)]),
        ("WITH g AS (SELECT * FROM Groups) SELECT count(*) FROM g", [(3,)]),
    ],
)  # fmt: skip
def test_questions_are_answered(duckdb, path, query, rows):
    assert list(ask(path, query).rows) == rows


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM read_csv_auto('{file}')",
        "COPY groups TO '{file}2'",
        "ATTACH '{file}2'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "DROP VIEW groups",
        "CREATE TABLE t AS SELECT 1",
        "SELECT 1; SELECT 2",
        "",
        "SELEC 1",
        "SELECT nothing FROM groups",
    ],
)
def test_what_is_no_question_is_refused(duckdb, path, tmp_path, query):
    file = tmp_path / "secret.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(StoreError, match=r"^SQL: "):
        ask(path, query.format(file=file))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["secret.csv", "store"]


def test_a_folder_that_is_no_store_is_refused(duckdb, tmp_path):
    with pytest.raises(StoreError, match="not a replay store"):
        ask(tmp_path, "SELECT 1 FROM groups")


def test_a_missing_duckdb_is_told_plainly(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(StoreError, match="needs DuckDB, which is not installed: pip install duck"):
        ask(path, "SELECT 1")


def test_answers_are_shown_and_are_json():
    answer = Answer(columns=("n", "text"), rows=((1.5, "\x1b[2J"), (float("nan"), None)))
    file = io.StringIO()
    Console(file=file, width=60).print(render_answer(answer))
    assert "␛[2J" in file.getvalue() and "null" in file.getvalue() and "2 rows" in file.getvalue()
    fields = json.loads(json.dumps(answer_to_json(answer), allow_nan=False))
    assert fields == {"columns": ["n", "text"], "rows": [[1.5, "\x1b[2J"], [None, None]]}

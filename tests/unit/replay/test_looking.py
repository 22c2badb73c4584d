"""Catalog, renderings, JSON, verification and export of a small store."""

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import replay_factories as make
from rich.console import Console

from redline.replay.catalog import (
    GroupState,
    find_group,
    find_trajectory,
    newest_trajectory,
    read_catalog,
    read_groups,
)
from redline.replay.decode import table_to_groups
from redline.replay.errors import SegmentError, StoreError
from redline.replay.export import export_parquet
from redline.replay.records import TrajectoryGroup, TrajectoryStatus
from redline.replay.render import render_group, render_trajectory
from redline.replay.render_catalog import render_catalog, render_report
from redline.replay.store import ReplayStore
from redline.replay.to_json import (
    catalog_to_json,
    group_to_json,
    report_to_json,
    trajectory_to_json,
)
from redline.replay.verify import verify_store
from redline.sandbox.records import TestStatus


@pytest.fixture
def path(tmp_path):
    """Four groups in two segments: g0 dropped as stale, g1 committed, g2 and g3 waiting."""
    with ReplayStore(tmp_path / "store", groups_per_segment=2) as store:
        for i in range(4):
            store.append(make.group(f"g{i}", version=i))
        store.commit(store.lease(1, min_version=1).lease_id)
    return tmp_path / "store"


def plain(renderable, width=100):
    file = io.StringIO()
    Console(file=file, width=width).print(renderable)
    return file.getvalue()


def an_episode():
    start = "def f(a):\n    retrun a\n"
    fixed = "def f(a):\n    return a\n"
    turns = (
        make.turn(command=None, error="unknown command", action_text="FIX it", program=start,
                  feedback="error: unknown command", verdict=None, reward=-0.5),
        make.turn(command="REPW 2 >>>retrun >>>return", program=fixed, feedback="",
                  verdict=make.verdict(TestStatus.PASS), reward=1.0, version=4),
    )  # fmt: skip
    return make.trajectory(turns=turns, initial_program=start)


def test_catalog_tells_states_and_versions(path):
    catalog = read_catalog(path)
    assert [(g.group_id, g.state, g.oldest_version) for g in catalog.groups] == [
        ("g0", GroupState.DROPPED, 0),
        ("g1", GroupState.COMMITTED, 1),
        ("g2", GroupState.WAITING, 2),
        ("g3", GroupState.WAITING, 3),
    ]
    (solved,) = catalog.statuses
    assert (solved.status, solved.trajectories) == (TrajectoryStatus.SOLVED, 8)
    assert catalog.problems == ()


def test_looking_changes_nothing_and_needs_no_lock(path):
    files = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with ReplayStore(path):
        assert len(list(read_groups(path))) == 4
        assert verify_store(path).ok
        read_catalog(path)
    after = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert {f: b for f, b in after.items() if f.name != "lock"} == {
        f: b for f, b in files.items() if f.name != "lock"
    }


def test_groups_and_trajectories_are_found_by_id(path):
    assert find_group(path, "g2").group_id == "g2"
    assert find_trajectory(path, "g3/1").trajectory_id == "g3/1"
    with pytest.raises(StoreError, match=r"no trajectory_id 'g9/0'; the newest are g3/0, g2/0"):
        find_trajectory(path, "g9/0")


def test_the_newest_trajectory_is_a_telling_one(path, tmp_path):
    assert newest_trajectory(path).group_id == "g3"
    with ReplayStore(path) as store:
        members = (
            make.trajectory("g4", 0, (make.turn(),) * 3, solved=False),
            make.trajectory("g4", 1, (make.turn(),)),
            make.trajectory("g4", 2, (make.turn(),) * 2),
        )
        store.append(TrajectoryGroup(group_id="g4", task_id="task-1", trajectories=members))
    assert newest_trajectory(path).trajectory_id == "g4/2"
    ReplayStore(tmp_path / "empty").close()
    with pytest.raises(StoreError, match="no sealed groups yet"):
        newest_trajectory(tmp_path / "empty")


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    for look in (read_catalog, verify_store, lambda p: list(read_groups(p))):
        with pytest.raises(StoreError, match="not a replay store"):
            look(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_listing_shows_the_figures(path):
    text = plain(render_catalog(read_catalog(path), newest=2))
    assert "2 waiting   1 committed   1 dropped" in text
    assert "newest groups (2 of 4)" in text
    assert "g3" in text and "g1" not in text
    assert "\x1b" not in text


def test_an_empty_store_lists_too(tmp_path):
    ReplayStore(tmp_path).close()
    assert "no sealed groups yet" in plain(render_catalog(read_catalog(tmp_path)))


def test_a_trajectory_reads_without_colours():
    text = plain(render_trajectory(an_episode()))
    assert "SOLVED   reward +0.50   2 turns" in text and "v0–4" in text
    assert "### FIX it  ✗" in text and "error: unknown command" in text
    assert "program unchanged" in text
    assert "-   2     retrun a" in text and "+   2     return a" in text
    assert "✓ pass  1/1 passed" in text and "mean log-probability" in text


def test_control_characters_do_not_reach_the_terminal():
    evil = "\x1b[2J\x07\r\x9b1m"
    turn = make.turn(
        program=f"x = 1{evil}", feedback=evil, error=evil, command=None, action_text=evil
    )
    text = plain(render_trajectory(make.trajectory(turns=(turn,), initial_program=f"\t{evil}")))
    assert not set(text) & set("\x1b\x07\r\x9b")
    assert "␛[2J" in text


@pytest.mark.parametrize("turns", [(), (make.turn(tokens=0),)], ids=["none", "no tokens"])
def test_odd_trajectories_render(turns):
    trajectory = make.trajectory(turns=turns, initial_program="")
    group = TrajectoryGroup(group_id="g0", task_id="task-1", trajectories=(trajectory,))
    assert "g0/0" in plain(render_trajectory(trajectory)) and "g0/0" in plain(render_group(group))


def test_json_views_are_json(path):
    views = {
        "catalog": catalog_to_json(read_catalog(path)),
        "report": report_to_json(verify_store(path)),
        "group": group_to_json(find_group(path, "g1")),
        "trajectory": trajectory_to_json(an_episode()),
    }
    again = json.loads(json.dumps(views, allow_nan=False))
    assert again["catalog"]["states"] == {"waiting": 2, "committed": 1, "dropped": 1}
    assert again["report"]["ok"] is True
    assert [t["trajectory_id"] for t in again["group"]["trajectories"]] == ["g1/0", "g1/1"]
    assert again["trajectory"]["turns"][1]["verdict"]["tests"][0]["status"] == "pass"


def test_json_has_null_for_what_is_not_finite():
    turn = make.turn(tokens=2, rollout_logprobs=np.array([np.nan, -1], np.float32))
    fields = trajectory_to_json(make.trajectory(turns=(turn,)))["turns"][0]
    assert fields["rollout_logprobs"] == [None, -1.0] and fields["mean_logprob"] is None


def test_verify_names_what_is_wrong(path):
    first, second = sorted((path / "segments").iterdir())
    data = bytearray(second.read_bytes())
    data[len(data) // 2] ^= 1
    second.write_bytes(data)
    report = verify_store(path)
    assert not report.ok and len(report.problems) == 2
    assert report.problems[1].endswith("corrupted; lost groups: g2, g3")
    assert f"{second}: corrupted" in report.problems[0]
    assert "damaged" in plain(render_report(report), width=200)
    assert any(second.name in problem for problem in read_catalog(path).problems)
    first.unlink()
    missing, *_ = [p for p in verify_store(path).problems if first.name in p]
    assert "missing; lost groups: g0, g1" in missing
    (path / "manifest.log").unlink()
    assert any("numbered 0 to 1 are missing" in problem for problem in verify_store(path).problems)


def test_verify_finds_a_group_that_is_stored_twice(path, tmp_path):
    with ReplayStore(tmp_path / "copy", groups_per_segment=4) as other:
        for name in ("x", "y", "z", "g0"):
            other.append(make.group(name))
    (segment,) = (other.path / "segments").iterdir()
    clash = path / "segments" / segment.name
    clash.write_bytes(segment.read_bytes())
    problems = "\n".join(verify_store(path).problems)
    assert "group g0 is in" in problems and "another segment has group number" in problems


def test_verify_reports_a_damaged_journal(path):
    journal = path / "journal.log"
    journal.write_bytes(b"deadbeef {}\n" + journal.read_bytes())
    assert any("journal.log, line 1" in problem for problem in verify_store(path).problems)


def test_export_to_parquet_reads_back(path, tmp_path):
    output = tmp_path / "out.parquet"
    assert export_parquet(path, output) == 8
    make.assert_same(table_to_groups(pq.read_table(output)), list(read_groups(path)))


def test_a_failed_export_leaves_nothing(path, tmp_path):
    segment = next((path / "segments").iterdir())
    segment.write_bytes(segment.read_bytes()[:-1])
    with pytest.raises(SegmentError, match=segment.name):
        export_parquet(path, tmp_path / "out.parquet")
    assert [file.name for file in tmp_path.iterdir()] == ["store"]

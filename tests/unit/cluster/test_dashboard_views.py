"""What the dashboard shows, without a browser: curves, diffs, tokens, fleet, and safe HTML."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_folders import add_groups, make_run, make_trajectory, step_line

from redline.cluster.dashboard import rendering
from redline.cluster.dashboard.curves import Curves
from redline.cluster.dashboard.failure_counts import failure_counts
from redline.cluster.dashboard.fleet import FleetView, fleet_view
from redline.cluster.dashboard.highlight import Piece, highlight_lines, mark_changed
from redline.cluster.dashboard.index import TrajectoryIndex
from redline.cluster.dashboard.lookup import Found
from redline.cluster.dashboard.overview import drops, failures, tiles
from redline.cluster.dashboard.panels import PANELS, chart_options, last_value
from redline.cluster.dashboard.query import Query
from redline.cluster.dashboard.run_files import open_run
from redline.cluster.dashboard.run_health import run_health
from redline.cluster.dashboard.search import to_rows
from redline.cluster.dashboard.thinning import thin
from redline.cluster.dashboard.token_texts import TokenTexts
from redline.cluster.dashboard.trajectory_view import trajectory_view
from redline.cluster.dashboard.viewer import Viewer
from redline.cluster.dashboard.watch import RunWatch
from redline.cluster.status_file import (
    RunState,
    RunStatus,
    Sample,
    WorkerState,
    WorkerStatus,
    write_status,
)
from redline.replay.diff_lines import diff_lines

programs = st.lists(
    st.text(st.sampled_from("abx =():\t'#é<&\r\x0b\x0c\ufeff\u2028"), max_size=12), max_size=8
).map("\n".join)


def view_of(trajectory, tmp_path):
    """The view of a trajectory that no store holds."""
    add_groups(tmp_path / "store", 4)
    index = TrajectoryIndex(tmp_path / "store")
    index.refresh()
    facts = to_rows(index.snapshot.table.slice(0, 1))[0]
    found = Found(trajectory=trajectory, facts=facts, group=(facts,))
    return trajectory_view(found, TokenTexts(tmp_path, "nowhere"))


@pytest.fixture
def watch(tmp_path):
    watch = RunWatch(open_run(str(make_run(tmp_path / "first", steps=40, groups=8)), tmp_path))
    watch.look()
    return watch


@given(programs)
def test_highlighting_loses_no_character(program):
    lines = highlight_lines(program)
    assert ["".join(piece.text for piece in line) for line in lines] == program.split("\n")


@given(programs, programs)
def test_a_diff_holds_both_programs_and_marks_inside_its_lines(before, after):
    lines = list(diff_lines(before, after))
    assert [line.text for line in lines if line.sign != "-"] == after.split("\n")
    assert len([line for line in lines if line.sign != "+"]) == len(before.split("\n"))
    for line in lines:
        pieces = mark_changed([Piece(line.text, "")], line.changed)
        assert "".join(piece.text for piece in pieces) == line.text
        changed = sum(len(piece.text) for piece in pieces if piece.changed)
        assert changed == sum(stop - start for start, stop in line.changed)


def test_curves_grow_with_their_file_and_wait_for_whole_lines(tmp_path):
    file = tmp_path / "steps.jsonl"
    curves = Curves(file)
    assert not curves.poll()
    file.write_text(step_line(1) + step_line(2)[:50])
    assert curves.poll()
    assert curves.steps == [1]
    with file.open("a") as stream:
        stream.write(step_line(2)[50:])
    assert curves.poll()
    assert curves.steps == [1, 2]
    assert not curves.poll()
    assert len(curves.get("rollout/solve_rate").values) == 2


def test_curves_begin_again_when_a_resumed_run_replaces_their_file(tmp_path):
    file = tmp_path / "steps.jsonl"
    file.write_text("".join(map(step_line, range(1, 9))))
    curves = Curves(file)
    curves.poll()
    draft = tmp_path / "draft"
    draft.write_text("".join(map(step_line, range(1, 5))))
    draft.replace(file)
    assert curves.poll()
    assert curves.steps == [1, 2, 3, 4]
    assert curves.get("trajectories").total == 4 * 32


def test_damage_in_the_middle_ends_the_curves_and_is_told(tmp_path):
    file = tmp_path / "steps.jsonl"
    file.write_text(step_line(1) + "{half\n" + step_line(3))
    curves = Curves(file)
    curves.poll()
    curves.poll()
    assert curves.steps == [1]
    assert "line 2 is damaged" in curves.problem


def test_curves_that_begin_late_or_are_not_finite(tmp_path):
    file = tmp_path / "steps.jsonl"
    file.write_text('{"step": 1, "a": 1}\n{"step": 2, "a": NaN, "b": 3}\n{"step": 3, "b": 5}\n')
    curves = Curves(file)
    curves.poll()
    assert [v == v for v in curves.get("a").values] == [True, False, False]
    assert [v == v for v in curves.get("b").values] == [False, True, True]
    assert curves.get("b").total == 8
    assert curves.get("b").smooth[2] == pytest.approx((0.9 * 3 + 5) / 1.9)
    assert curves.get("never").values[0] != curves.get("never").values[0]


@given(st.lists(st.floats(allow_nan=True), max_size=300), st.integers(2, 50))
def test_thinning_keeps_the_extremes_and_the_order(values, limit):
    points = thin(range(len(values)), values, limit)
    finite = [v for v in values if math.isfinite(v)]
    assert len(points) <= limit
    assert [s for s, _ in points] == sorted({s for s, _ in points})
    if finite:
        assert {min(finite), max(finite)} <= {v for _, v in points}


def test_charts_are_plain_json_and_short(watch):
    for panel in PANELS:
        options = json.loads(json.dumps(chart_options(panel, watch.curves), allow_nan=False))
        assert all(len(series["data"]) <= 400 for series in options["series"])
        assert last_value(panel, watch.curves)


def test_tiles_and_drops(watch):
    values = {tile.label: tile for tile in tiles(watch.files, watch.curves, None)}
    assert values["step"].value == "40"
    assert values["step"].note == "of at most 300"
    assert values["trajectories/s"].note == "1,280 trained in all"
    counts = {row.name: row for row in drops(watch.curves)}
    assert counts["no signal"].count > 40 * 20
    assert counts["stale"].count == 0


def test_a_new_run_has_tiles_without_numbers(tmp_path):
    curves = Curves(tmp_path / "none")
    files = open_run(str(make_run(tmp_path / "new", steps=0)), tmp_path)
    assert {tile.value for tile in tiles(files, curves, None)} == {"0", "–"}
    assert all(chart_options(panel, curves)["series"] for panel in PANELS)


def status(**changes):
    values = {
        "run": "first", "state": RunState.TRAINING, "pid": 7, "host": "here", "attempt": 1,
        "started_at": 100.0, "written_at": 200.0, "steps": 300, "step": 40, "version": 40,
        "workers": [
            WorkerStatus(name="sampler-0", role="sampler", state=WorkerState.SERVING, version=38,
                         node="10.0.0.2", numbers={"running_episodes": 12.0}),
            WorkerStatus(name="sandbox-0", role="sandbox", state=WorkerState.LOST,
                         problem="its node died"),
        ],
    }  # fmt: skip
    return RunStatus(**(values | changes))


def test_the_fleet_of_a_status_file(watch):
    table = watch.index.snapshot.table
    fleet = fleet_view(status(), table, watch.files.isolation, live=True)
    sampler, sandbox = fleet.rows
    assert (sampler.state, sampler.version) == ("serving", "v38, 2 behind")
    assert sampler.note == "running episodes 12"
    assert (sandbox.good, sandbox.note) == (False, "its node died")
    html = rendering.render_tables(fleet, drops(watch.curves), (), ())
    assert "v38, 2 behind" in html
    assert "its node died" in html


def test_failures_are_counted_by_reason():
    samples = [
        Sample(name="redline_sandbox_kills", labels={"worker": f"s{i}", "reason": why}, value=2.0)
        for i, why in enumerate(("cpu", "wall", "cpu"))
    ]
    samples.append(Sample(name="redline_worker_restarts", labels={"role": "sampler"}, value=1.0))
    counts = {row.name: row.count for row in failure_counts(status(samples=samples))}
    assert counts["programs ended (cpu)"] == 4
    assert counts["programs ended (wall)"] == 2
    assert counts["workers replaced"] == 1
    assert counts["groups lost"] == 0
    assert "programs ended" not in counts
    assert failure_counts(None) == failure_counts(status()) == ()
    rows = failure_counts(status(samples=samples))
    assert "programs ended (cpu)" in rendering.render_tables(
        FleetView(rows=(), source=""), (), rows, ()
    )


def test_the_fleet_without_a_status_file_is_what_the_workers_left(watch):
    watch.files.isolation.write_text(
        '{"sandboxes": [{"worker": "sandbox-0", "node": "n", "tier": "landlock"}]}'
    )
    fleet = fleet_view(None, watch.index.snapshot.table, watch.files.isolation, live=False)
    assert [row.name for row in fleet.rows] == ["sampler-0", "sampler-1", "sandbox-0"]
    assert "no status file" in fleet.source
    watch.files.isolation.write_text("{half")
    assert (
        len(fleet_view(None, watch.index.snapshot.table, watch.files.isolation, live=False).rows)
        == 2
    )


def test_health_of_runs(watch):
    files = watch.files
    assert run_health(files, None, 0).state == "unknown"
    files.result.write_text("{}")
    assert run_health(files, None, 0).state == "finished"
    assert run_health(files, status(), 205.0).live
    late = run_health(files, status(), 300.0)
    assert (late.state, late.good) == ("lost", False)
    assert "process 7 on here" in late.note
    failed = run_health(files, status(state=RunState.FAILED, problem="a worker died"), 300.0)
    assert (failed.good, failed.note) == (False, "a worker died")
    assert failures(failed, status(), watch.curves, watch.index.snapshot)[0].endswith("died")
    waits = status(phases=["starting workers"], waiting_for=["sampler-1"])
    assert run_health(files, waits, 205.0).note == "starting workers, waiting for sampler-1"


def test_the_watch_takes_up_what_the_run_writes(watch):
    before = watch.revision
    watch.look()
    assert watch.revision == before
    write_status(watch.files.folder, status())
    with watch.files.curves.open("a") as stream:
        stream.write(step_line(41))
    add_groups(watch.files.store, 4, first=8)
    watch.look()
    assert watch.revision > before
    assert watch.curves.steps[-1] == 41
    assert watch.index.snapshot.table.num_rows == 12 * 8
    assert watch.status.version == 40
    (watch.files.folder / "status.json").write_text('{"format": 99}')
    watch.look()
    assert watch.status is None


def test_a_trajectory_turn_by_turn(watch):
    viewer = Viewer(watch)
    html = viewer.trajectory("g00000000/0", {})
    assert html.count('<article class="turn"') == 3
    assert '<div class="line removed">' in html
    assert "REPW 4 &gt;&gt;&gt;&lt; &gt;&gt;&gt;&gt;" in html
    assert "trained in step 1" in html
    assert "3/3 tests passed" in html
    assert 'href="/api/trajectories/g00000000/0" download' in html
    assert html.count('class="compare"') == 7


def test_tokens_have_text_probability_and_version(watch):
    from redline.cluster.dashboard.lookup import find

    found = find(watch.index, "g00000004/0")
    turn = found.trajectory.turns[0]
    view = trajectory_view(found, watch.texts).turns[0]
    assert "".join(token.text for token in view.tokens).strip() == turn.command
    for token, logprob in zip(view.tokens, turn.rollout_logprobs, strict=True):
        assert token.logprob == pytest.approx(float(logprob))
        assert token.probability == pytest.approx(math.exp(float(logprob)))
    assert [token.version for token in view.tokens] == turn.weight_versions.tolist()


def test_without_a_tokenizer_tokens_are_ids(tmp_path):
    assert TokenTexts(tmp_path, "nowhere/at/all").texts([5, 6]) == ("<5>", "<6>")


def test_a_long_program_is_folded_around_its_change(tmp_path):
    one = make_trajectory("g", 0, 0, 0, np.random.default_rng(0))
    long = "\n".join(f"line_{i} = {i}" for i in range(60))
    changed = replace(one.turns[0], program=long.replace("line_30 = 30", "line_30 = 31"))
    view = view_of(replace(one, initial_program=long, turns=(changed,)), tmp_path)
    blocks = view.turns[0].diff
    assert [block.folded for block in blocks] == [True, False, True]
    assert len(blocks[1].lines) == 4 + 2 + 4
    assert sum(len(block.lines) for block in view.program) == 60
    assert not any(block.folded for block in view.program)


def test_nothing_of_a_program_becomes_markup(tmp_path):
    """Programs, feedback, task and worker names come from models and files of others."""
    evil = "<script>alert('x')</script>\"'\x1b[31m"
    one = make_trajectory("g", 0, 0, 0, np.random.default_rng(0))
    turn = replace(one.turns[0], program=evil, feedback=evil, command=evil, error=evil)
    view = view_of(replace(one, initial_program=evil, turns=(turn,)), tmp_path)
    facts = replace(view.facts, task_id=evil, trajectory_id=evil, worker=evil, group_id=evil)
    html = rendering.render_trajectory(replace(view, facts=facts, group=(facts,)), Query(text=evil))
    html += rendering.render_compare(view, replace(view, facts=facts))
    html += rendering.render_problem(evil) + rendering.render_login(evil, evil)
    assert "<script>" not in html
    assert "\x1b" not in rendering.render_trajectory(view, Query())
    assert "&lt;script&gt;" in html


def test_pages_of_results_keep_the_query(watch):
    html = Viewer(watch).results({"status": "solved", "limit": "5", "offset": "5"})
    assert "32 of 64 trajectories" in html
    assert "status=solved&amp;offset=10&amp;limit=5" in html
    assert "status=solved&amp;limit=5" in html
    assert html.count('class="row"') == 5
    assert "expected one of" in Viewer(watch).results({"status": "x"})


def test_the_whole_viewer_for_every_address(watch):
    viewer = Viewer(watch)
    assert 'class="list"' in viewer.page({})
    assert 'aria-current="true"' in viewer.page({}, "g00000000/1")
    both = viewer.page({}, "g00000000/1", "g00000000/2")
    assert 'class="compare"' in both
    assert "ended after" in both
    assert "no trajectory" in viewer.page({}, "nothing")
    assert "no trajectory" in viewer.compare("nothing", "g00000000/1")

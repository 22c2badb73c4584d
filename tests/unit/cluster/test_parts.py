"""The small parts of a run: order of tasks, checkpoints, curves, resources, rows."""

import asyncio
import dataclasses

import cluster_fakes as fakes
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.actors.evaluation_summary import EvalResult, TaskScore, TurnsRate
from redline.actors.intervals import wilson
from redline.cluster.checks.resources import Need, Offer, check_placeable
from redline.cluster.display.live import sparkline
from redline.cluster.display.progress import LineProgress, step_line
from redline.cluster.errors import UserError
from redline.cluster.evaluation.evaluating import Evaluation, spread
from redline.cluster.loop.checkpoints import Checkpoints
from redline.cluster.loop.records import Position
from redline.cluster.loop.task_order import TaskOrder, group_id
from redline.cluster.metrics import Metrics, curves_of, read_steps
from redline.cluster.monitoring.tensorboard_sink import TensorBoardSink
from redline.cluster.report.page import page
from redline.cluster.report.pictures import draw_curves, moving_average
from redline.cluster.report.result import RunSummary
from redline.cluster.report.rows import by_family, by_kind, by_turns
from redline.replay.cursor import Cursor, SequenceRange


@given(st.integers(1, 30), st.integers(0, 5), st.integers(0, 100))
def test_every_epoch_meets_every_task_once(tasks, seed, epoch):
    order = TaskOrder(fakes.make_tasks(tasks), seed)
    names = [order.task(epoch * tasks + i).task_id for i in range(tasks)]
    assert sorted(names) == sorted(f"t{i}" for i in range(tasks))
    again = TaskOrder(fakes.make_tasks(tasks), seed)
    assert names == [again.task(epoch * tasks + i).task_id for i in range(tasks)]


def test_stored_groups_are_not_asked_for_again():
    numbers = TaskOrder(fakes.make_tasks(3), 0).numbers({group_id(0), group_id(2), group_id(3)})
    assert [next(numbers) for _ in range(4)] == [1, 4, 5, 6]


def position(step):
    cursor = Cursor(store_id="s", committed=(SequenceRange(first=0, last=step),), dropped=())
    return Position(step=step, weight_version=step, store_cursor=cursor)


def test_latest_names_only_complete_checkpoints_and_old_ones_go(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    learner = fakes.FakeLearner(max_staleness=0)
    assert checkpoints.latest() is None
    for step in (2, 4, 6):
        asyncio.run(checkpoints.save(learner, position(step)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest", "step_4", "step_6"]
    assert checkpoints.latest() == (tmp_path / "step_6", position(6))

    async def fail(folder):
        raise OSError("disk full")

    learner.save_checkpoint = fail
    with pytest.raises(OSError, match="disk full"):
        asyncio.run(checkpoints.save(learner, position(8)))
    assert checkpoints.latest() == (tmp_path / "step_6", position(6))
    (tmp_path / "step_6" / "state.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        checkpoints.latest()


def test_a_step_in_one_line_says_what_matters():
    line = step_line(3, 100, fakes.make_report())
    for part in ("step   3/100", "solved  50.0%", "dlogp 1.0e-06", "pause   1 ms", "wait 0.20"):
        assert part in line


def test_curves_go_on_after_a_resume_and_survive_a_torn_line(tmp_path):
    metrics = Metrics(tmp_path, first_step=0)
    for step in range(1, 6):
        metrics.write(step, fakes.make_report(step))
    metrics.close()
    with (tmp_path / "steps.jsonl").open("a") as file:
        file.write('{"step": 6, "rew')
    resumed = Metrics(tmp_path, first_step=3)
    resumed.write(4, fakes.make_report(4))
    resumed.close()
    assert [line["step"] for line in read_steps(tmp_path / "steps.jsonl")] == [1, 2, 3, 4]


def test_tensorboard_reads_the_curves(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    metrics = Metrics(tmp_path, first_step=0, sinks=[TensorBoardSink(tmp_path)])
    metrics.write(1, fakes.make_report())
    metrics.write_heldout(1, {"greedy": 0.25})
    metrics.close()
    found = EventAccumulator(str(tmp_path)).Reload()
    assert found.Scalars("heldout/greedy")[0].value == pytest.approx(0.25)
    assert found.Scalars("rollout/solve_rate")[0].value == pytest.approx(0.5)
    assert {"perf/throughput", "staleness/max", "timing/weight_sync"} <= set(
        found.Tags()["scalars"]
    )


def test_utilisation_is_a_curve_only_where_it_is_known():
    plain = fakes.make_report()
    assert "perf/mfu" not in curves_of(plain)
    known = dataclasses.replace(plain, result=dataclasses.replace(plain.result, mfu=0.4))
    assert curves_of(known)["perf/mfu"] == 0.4
    curves = curves_of(dataclasses.replace(plain, sampled_tokens=26))
    assert curves["perf/sampled_tokens_per_s"] == pytest.approx(20.0)
    assert curves["timing/step"] == plain.seconds_total


def test_phases_say_how_long_they_took(capfd):
    progress = LineProgress()
    with progress.phase("starting workers") as phase:
        phase.wait_for(["learner"])
    progress.close()
    err = capfd.readouterr().err
    assert "starting workers ..." in err
    assert "starting workers took 0.0 s" in err


def test_what_has_no_place_is_named():
    needs = [
        Need(kind="learner", count=1, num_cpus=1, num_gpus=1),
        Need(kind="sampler", count=2, num_cpus=1, num_gpus=0.5),
    ]
    check_placeable(needs, [Offer(node="a", num_cpus=4, num_gpus=2)])
    with pytest.raises(UserError, match="no place for sampler 2 of 2") as caught:
        check_placeable(needs, [Offer(node="a", num_cpus=4, num_gpus=1.5)])
    assert "\n" not in str(caught.value)
    # What is free in sum is of no use when no single node has it.
    with pytest.raises(UserError, match="no place for learner 1 of 1"):
        check_placeable(needs, [Offer(node=n, num_cpus=4, num_gpus=0.5) for n in "abcd"])


def test_nodes_of_one_machine_are_counted_apart():
    needs = [Need(kind="sampler", count=2, num_cpus=1, num_gpus=0)]
    check_placeable(needs, [Offer(node="same", num_cpus=1, num_gpus=0)] * 2)


def test_workers_with_custom_resources_need_nodes_that_announce_them():
    need = Need(kind="sandbox", count=2, num_cpus=1, num_gpus=0, resources={"redline_sandbox": 1})
    plain = Offer(node="head", num_cpus=8, num_gpus=0, resources={"memory": 9.0})
    pool = Offer(node="pool", num_cpus=2, num_gpus=0, resources={"redline_sandbox": 2})
    check_placeable([need], [plain, pool])
    with pytest.raises(UserError, match="no place for sandbox 2 of 2") as caught:
        check_placeable([need], [plain, Offer(node="pool", num_cpus=2, num_gpus=0,
                                              resources={"redline_sandbox": 1})])  # fmt: skip
    told = str(caught.value)
    assert "2 sandbox of 1 CPU + 1 redline_sandbox; free: head: 8 CPU, pool: 2 CPU + 1" in told
    assert "add nodes that announce redline_sandbox" in told


def result(share):
    scores = tuple(
        TaskScore(task_id=f"t{i}", family=family, episodes=4, solved=solved)
        for i, (family, solved) in enumerate((("add_at", share), ("clamp", 1), ("mine", 0)))
    )
    rate = wilson(sum(s.share for s in scores), len(scores))
    turns = tuple(TurnsRate(turns=k, rate=rate) for k in (1, 2, 4, 8))
    return EvalResult(
        rate=rate, scores=scores, by_family=(), by_turns=turns, pass_at=(), aborted=0, num_turns=2.0
    )


def test_an_evaluation_is_read_back_as_it_was(tmp_path):
    found = Evaluation(greedy=result(1), sampled=result(3))
    found.save(tmp_path / "e" / "before.json")
    assert Evaluation.load(tmp_path / "e" / "before.json") == found
    assert Evaluation.load(tmp_path / "nothing.json") is None


def test_rows_compare_the_same_tasks():
    before = Evaluation(greedy=result(1), sampled=result(1))
    after = Evaluation(greedy=result(3), sampled=result(3))
    families = {row.label: row.difference for row in by_family(before, after)}
    assert families == {"add_at": pytest.approx(0.5), "clamp": 0.0, "mine": 0.0}
    kinds = [row.label for row in by_kind(before, after)]
    assert kinds == ["dicts", "numbers", "other", "families held out", "families trained on"]
    assert [row.label for row in by_turns(before, after)] == [
        "1 turn",
        "2 turns",
        "4 turns",
        "8 turns",
    ]


def test_picture_page_and_result_of_a_run(tmp_path):
    before = Evaluation(greedy=result(1), sampled=result(1))
    after = Evaluation(greedy=result(3), sampled=result(3))
    metrics = Metrics(tmp_path, first_step=0)
    metrics.write(1, fakes.make_report())
    metrics.close()
    steps = read_steps(tmp_path / "steps.jsonl")
    draw_curves(tmp_path / "curves.png", steps, by_turns(before, after), title="t")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    summary = RunSummary(
        seconds_to_first_step=1.0, seconds_total=9.0, peak_rss_gib=1.0, probe_max_abs_dlogp=1e-6,
        steps=1, trajectories=1, tokens_trained=10, isolation="landlock",
        before=before, after=after,
    )  # fmt: skip
    text = page("<b>", summary, tmp_path / "curves.png", ["redline replay ls x"], "a: 1")
    assert "&lt;b&gt;" in text and "<b>" not in text
    assert "http" not in text.replace("http-equiv", "")
    said = summary.as_json()
    assert said["heldout"]["sampled"]["tasks"] == 3
    assert set(said) == {
        "seconds", "peak_rss_gib", "probe_max_abs_dlogp", "steps", "trajectories",
        "tokens_trained", "isolation", "heldout",
    }  # fmt: skip


def test_a_run_without_steps_has_a_picture_too(tmp_path):
    draw_curves(tmp_path / "curves.png", [], [], title="t")
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_small_sums():
    assert moving_average([1.0, 2.0, 3.0], 2) == [1.0, 1.5, 2.5]
    assert sparkline([]) == ""
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert len(sparkline([0.1] * 1000)) <= 60
    assert spread([0, 1, 2, 3, 4, 5], 3) == [0, 2, 4]
    assert spread([0, 1], 5) == [0, 1]

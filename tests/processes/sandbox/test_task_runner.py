"""Repair tasks in the sandbox, the probe and the bench."""

import json

import pytest

from redline.dsl.tasks import RepairTask
from redline.sandbox.bench import bench
from redline.sandbox.records import InfrastructureError, Limits
from redline.sandbox.settings import SandboxSettings
from redline.sandbox.task_runner import check_tasks, make_judge, request_for

QUICK = Limits(cpu_seconds=0.3)


def task(task_id="t1", broken="def f(x):\n    return x", reference="def f(x):\n    return x + 1"):
    return RepairTask(
        task_id=task_id,
        prompt="Add one.",
        broken=broken,
        reference=reference,
        setup="K = 1",
        entry_point="f",
        tests=("assert f(1) == 2", "assert f(K) == 2"),
    )


def test_a_request_holds_what_the_task_says():
    request = request_for(task(), "x = 1", QUICK, stop_at_failure=True)
    assert (request.program, request.tests) == ("x = 1", task().tests)
    assert (request.setup, request.entry_point, request.limits) == ("K = 1", "f", QUICK)
    assert request.stop_at_failure


def test_the_judge_keeps_its_servers_between_calls():
    with make_judge(workers=1, limits=QUICK) as judge:
        tasks = [task(), task()]
        assert judge(tasks, [tasks[0].broken, tasks[0].reference]) == [False, True]
        assert judge([task()], ["def f(x): return 2"]) == [True]
        assert judge([], []) == []
        (verdict,) = judge.verdicts([task()], [task().broken])
        assert verdict.tests[1].detail == "f(K) gave 1, expected 2"


def test_the_judge_has_no_answer_without_a_verdict():
    settings = SandboxSettings(max_retries=0)
    impossible = Limits(output_bytes=1 << 63)
    with (
        make_judge(workers=1, limits=impossible, settings=settings) as judge,
        pytest.raises(InfrastructureError, match="task t1: no verdict"),
    ):
        judge([task()], [task().broken])


def test_checking_tasks_counts_both_sides():
    seen = []
    tasks = [
        task("good"),
        task("never broken", broken=task().reference),
        task("bad reference", reference="def f(x):\n    return 0"),
        task("no reference", reference=None),
    ]
    check = check_tasks(
        tasks, workers=1, limits=QUICK, progress=lambda done, total: seen.append((done, total))
    )
    assert (check.tasks, check.references) == (4, 3)
    assert (check.broken_failing, check.references_passing) == (3, 2)
    assert check.infrastructure_errors == 0
    assert [failure.task_id for failure in check.failures] == ["never broken", "bad reference"]
    assert check.failures[1].reason == "the reference fails: f(1) gave 0, expected 2"
    assert seen == [(n, 7) for n in range(1, 8)]


def test_infrastructure_errors_are_neither_failing_nor_passing():
    settings = SandboxSettings(max_retries=0)
    check = check_tasks([task()], workers=1, limits=Limits(output_bytes=1 << 63), settings=settings)
    assert (check.broken_failing, check.references_passing) == (0, 0)
    assert check.infrastructure_errors == 2
    assert check.failures == ()


def test_the_bench_reports_what_it_measured():
    settings = SandboxSettings(max_tier="seccomp")
    report = bench(workers=1, executions=30, settings=settings)
    assert report.executions_per_s > 1
    assert 0 < report.p50_ms <= report.p99_ms
    assert (report.tier, report.workers) == ("seccomp", 1)
    assert json.dumps({name: getattr(report, name) for name in report.__slots__})

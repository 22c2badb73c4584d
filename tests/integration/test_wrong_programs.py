"""`redline tasks wrong` with a real engine: whatever a model writes, what fails becomes a task."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from published import write_problems
from redline_driving import Driver, alive, kill_drivers

from redline.dsl.task_files import read_tasks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(autouse=True)
def _no_driver_left():
    yield
    kill_drivers()


def test_what_a_model_writes_becomes_tasks(tmp_path):
    write_problems(tmp_path / "mbpp.jsonl", [1, 2, 3, 11, *range(601, 607)])
    driver = Driver(
        "tasks", "wrong", "--data", "mbpp.jsonl", "--policy", "demo_policy", "--samples", 4,
        "--max-tokens", 60, "--keep-unfinished", "--output", "wrong.jsonl", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    driver.wait_for_line("loading")
    started = driver.descendants()
    assert driver.finish(1000) == 0, driver.complaint()  # half a minute on idle cores
    figures = driver.result()
    assert (figures["tasks"], figures["samples"]) == (6, 24)
    assert figures["wrong"] + sum(figures["dropped"].values()) == 24
    assert sum(figures["statuses"].values()) == figures["wrong"] > 0
    assert set(figures["dropped"]) <= {"written before", "empty"}
    tasks = read_tasks(tmp_path / "wrong.jsonl")
    assert len(tasks) == figures["wrong"]
    assert {(task.split, task.source) for task in tasks} == {("train", "wrong/demo_policy")}
    assert not list(tmp_path.glob("*.partial"))
    assert not alive(started)

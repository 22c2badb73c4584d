"""`redline tasks wrong` with real engines: whatever a model writes, what fails becomes a task."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from published import write_problems
from redline_driving import SMALL, Driver, alive, kill_drivers, make_model

from redline.dsl.task_files import read_tasks
from redline.replay.catalog import read_catalog

ENGINE = ("rollout.engine.max_model_len=1024", "rollout.engine.enforce_eager=true")
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


@pytest.mark.ray
@pytest.mark.long
def test_on_ray_samplers_they_become_tasks_that_a_run_trains_on(tmp_path):
    """A random model writes only programs that fail, and learns from what it is given to repair."""
    make_model(tmp_path / "model")
    write_problems(tmp_path / "mbpp.jsonl", [1, *range(601, 605)])
    sampling = Driver(
        "tasks", "wrong", "--data", "mbpp.jsonl", "--policy", "./model", "--ray", "local",
        "--samples", 4, "--shots", 1, "--max-tokens", 30, "--keep-unfinished", "--output",
        "wrong.jsonl", "--json", *ENGINE, cwd=tmp_path,
    )  # fmt: skip
    sampling.wait_for_line("sandbox isolation")
    started = sampling.descendants()
    assert sampling.finish(600) == 0, sampling.complaint()
    assert not alive(started)
    tasks = read_tasks(tmp_path / "wrong.jsonl")
    assert sampling.result()["wrong"] == len(tasks) >= 4
    assert {task.source for task in tasks} == {"wrong/model"}

    training = Driver(
        "train", "--config", "demo", "name=wrong", "model=./model", "steps=2",
        "tasks.train_file=wrong.jsonl", *SMALL, *ENGINE, "eval.tasks=0", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert training.finish(600) == 0, training.complaint()
    assert training.result()["steps"] == 2
    trained = {group.task_id for group in read_catalog(tmp_path / "runs/wrong/replay").groups}
    assert trained and trained <= {task.task_id for task in tasks}

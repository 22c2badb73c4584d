"""A run as a job of a real cluster of two nodes with a token: submitted, scaled, watched, stopped.

The tests are stations of one run, in this order.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from ray_cluster import RayCluster
from redline_driving import SMALL, Driver, assert_gone_within, kill_drivers, make_model
from terminal_process import TerminalProcess

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cluster():
    """The head has a place for driver and learner, the second for two samplers and a sandbox."""
    found = RayCluster(
        ["--num-cpus", "1", "--resources", '{"redline_learner": 1}'],
        ["--num-cpus", "2", "--resources", '{"redline_sampler": 2, "redline_sandbox": 1}'],
    )
    yield found
    kill_drivers()
    pids = found.processes()
    found.stop()
    assert_gone_within(pids, 10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the user sits: a tiny model of relative path that travels with the job."""
    folder = tmp_path_factory.mktemp("jobs")
    make_model(folder / "model")
    return folder


@pytest.fixture(scope="module")
def redline(cluster, folder):
    """Start a command against the cluster, in the user's folder."""

    def call(*arguments, **environment):
        return Driver(
            *arguments, "--address", cluster.address, cwd=folder,
            environment={**cluster.environment, **environment},
        )  # fmt: skip

    return call


def submission(folder, *more):
    return (
        "submit", "--config", "demo", "name=mine", f"run_root={folder}/runs", "model=./model",
        "steps=100000", *SMALL, "eval.tasks=0", "rollout.resources.redline_sampler=1",
        "sandbox.resources.redline_sandbox=1", "learner.resources.redline_learner=1", *more,
    )  # fmt: skip


def refused(driver):
    """What a refusal says; it must be one line and exit status 2."""
    assert driver.finish() == 2, driver.complaint()
    assert driver.complaint().count("\n") == 1, driver.complaint()
    return driver.complaint()


@pytest.fixture(scope="module")
def job(redline, folder):
    """The run, submitted."""
    driver = redline(*submission(folder), "--json")
    assert driver.finish() == 0, driver.complaint()
    return driver.result()


def test_what_cannot_be_placed_is_refused_before_it_starts(redline, folder):
    told = refused(redline(*submission(folder, "rollout.num_cpus=1.9", "rollout.samplers=2")))
    assert "no place for sampler 2 of 2" in told
    assert ": 2 CPU + 2 redline_sampler" in told


def test_a_wrong_token_is_refused(redline, tmp_path):
    other = tmp_path / "token"
    other.write_text("0" * 64)
    told = refused(redline("status", RAY_AUTH_TOKEN_PATH=str(other)))
    assert f"refused the token of {other}" in told


def test_the_job_is_listed_and_not_submitted_twice(redline, folder, job):
    assert (job["job"], job["run"]) == ("mine-1", "mine")
    assert job["directory"] == f"{folder}/runs/mine"
    assert "as job mine-1: watch it" in refused(redline(*submission(folder)))
    assert "no job or run 'yours'" in refused(redline("stop", "yours"))


@pytest.fixture(scope="module")
def follower(redline, job):
    """Who follows the job from its start to its end."""
    return redline("status", "mine", "--follow", "--json")


def test_it_trains_on_both_nodes(redline, follower):
    follower.wait_for_line("step      3/100000")  # so that the checkpoint of step 2 is complete
    driver = redline("status", "--json")
    assert driver.finish() == 0, driver.complaint()
    (listed,) = driver.result()["jobs"]
    assert listed["status"] == "RUNNING"
    assert listed["progress"]["step"] >= 2
    assert listed["progress"]["steps"] == 100_000


def test_a_second_sampler_is_added_where_one_fits_and_no_third(folder, follower):
    driver = Driver("scale", "samplers=2", "--wait", "--json", cwd=folder)
    assert driver.finish() == 0, driver.complaint()
    samplers = driver.result()["samplers"]
    assert samplers["target"] == 2
    assert [worker["stage"] for worker in samplers["workers"]] == ["serving", "serving"]
    follower.wait_for_line("samplers: 1 to 2 (asked for)")
    told = refused(Driver("scale", "samplers=3", cwd=folder))
    assert "no place for sampler 1 of 1" in told
    assert "redline_sampler" in told


def test_top_shows_the_job_at_a_glance(folder, follower):
    samplers = ("sampler-0", "sampler-1")
    with TerminalProcess("top", "mine", "--every", "0.2", cwd=folder) as top:
        top.wait_for("mine", "training", "throughput", "drops and failures", *samplers)
        top.wait_for("training", *samplers)  # drawn again
        assert top.interrupt() == 130, top.shown
    driver = Driver("top", "mine", "--json", cwd=folder)
    assert driver.finish() == 0, driver.complaint()
    status = driver.result()
    assert (status["state"], status["late"]) == ("training", False)
    found = {worker["name"] for worker in status["workers"] if worker["role"] == "sampler"}
    assert found == set(samplers)


def test_it_stops_resumable(redline, follower):
    stopping = redline("stop", "mine", "--json")
    assert stopping.finish() == 0, stopping.complaint()
    assert follower.finish() == 130, follower.complaint()
    stopped = stopping.result()
    assert stopped["status"] == "STOPPED"
    saved = int(stopped["progress"]["checkpoint"].removeprefix("step_"))
    assert 2 <= saved <= stopped["progress"]["step"]
    assert "stopping: saving a checkpoint first" in follower.complaint()
    assert "was killed" not in follower.complaint()


def test_the_runs_folder_can_be_read_and_resumed(folder, job):
    for command in (
        ("replay", "verify", "runs/mine"),
        ("status", "runs/mine", "--json"),
        ("train", "--config", "demo", "name=mine", f"run_root={folder}/runs", "--resume",
         "--dry-run", "--json"),
    ):  # fmt: skip
        driver = Driver(*command, cwd=folder)
        assert driver.finish() == 0, driver.complaint()
        if command[0] == "status":
            assert driver.result()["progress"]["checkpoint"].startswith("step_")
        if command[0] == "train":
            assert driver.result()["config"]["rollout"]["samplers"] == 2  # as it was scaled

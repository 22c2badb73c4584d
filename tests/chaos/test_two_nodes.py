"""A fleet over two nodes: it grows and shrinks while it trains, and outlives the second node."""

import time

import pytest
from audit import audit
from ray_cluster import RayCluster
from redline_driving import Driver, assert_gone_within, kill_drivers
from soak_run import go_on, prepare, train

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(1800)]

PLACES = (
    "rollout.resources.redline_sampler=1", "sandbox.resources.redline_sandbox=1",
    "learner.resources.redline_learner=1", "sandbox.actors=2", "steps=100000",
)  # fmt: skip


@pytest.fixture
def cluster():
    """Just enough places for three samplers, so that they fill both nodes."""
    found = RayCluster(
        [
            "--num-cpus", "2",
            "--resources", '{"redline_learner": 1, "redline_sampler": 2, "redline_sandbox": 1}',
        ],
        ["--num-cpus", "2", "--resources", '{"redline_sampler": 1, "redline_sandbox": 1}'],
        RAY_health_check_period_ms="2000", RAY_health_check_timeout_ms="4000",
        RAY_health_check_failure_threshold="5",
    )  # fmt: skip
    yield found
    kill_drivers()
    pids = found.processes()
    found.stop()
    assert_gone_within(pids, 10)


@pytest.mark.parametrize("end", ["kill", "suspend"])
def test_a_fleet_over_two_nodes_grows_shrinks_and_outlives_the_second(cluster, tmp_path, end):
    prepare(tmp_path)
    run = train(
        tmp_path, "wide", *PLACES, f"ray.address=127.0.0.1:{cluster.port}",
        environment=cluster.environment,
    )  # fmt: skip
    go_on(run, tmp_path, "wide")
    scale(run, tmp_path, "samplers=3", "--wait")
    raylet, second = cluster.second_node()
    assert titles(second) >= {"ray::Sampler", "VLLM::EngineCore", "ray::SandboxActor"}
    go_on(run, tmp_path, "wide", steps=5)

    getattr(raylet, end)()
    run.wait_for_line("is lost", seconds=200)
    go_on(run, tmp_path, "wide", steps=5)
    if end == "suspend":
        raylet.resume()  # only now it hears that it was given up
    assert_gone_within(second, 60)

    scale(run, tmp_path, "samplers=1", "--wait")
    go_on(run, tmp_path, "wide", steps=5)
    run.interrupt()
    assert run.finish(seconds=90) == 130, run.complaint()
    violations = audit(tmp_path, name="wide")
    print(f"\n1 {end} of a raylet, 1 to 3 to 1 samplers; {len(violations)} violations")
    assert not violations, "\n".join(violations)


def scale(run, folder, *arguments):
    """Change the running job, which must go on meanwhile."""
    began = time.monotonic()
    command = Driver("scale", *arguments, "--run", "wide", cwd=folder)
    assert command.finish(seconds=400) == 0, command.complaint() + run.complaint()
    print(f"{arguments} took {time.monotonic() - began:.0f} s", flush=True)


def titles(pids):
    """What processes are called, without what they do at the moment."""
    import psutil

    found = set()
    for pid in pids:
        try:
            words = psutil.Process(pid).cmdline()
        except psutil.NoSuchProcess:
            continue
        found.add(words[0].split(".")[0] if words else "")
    return found

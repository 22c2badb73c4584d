"""Replay store, learner and driver are killed and stopped: the run ends, says who, and resumes.

Each attempt is ended at a random moment. What is left of it goes on as if nothing had been.
"""

import os
import time

import pytest
from audit import audit
from redline_driving import assert_gone_within, kill_drivers
from soak_run import go_on, prepare, steps_done, train
from victims import Striker, processes

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(1800)]

SEED = int(os.environ.get("REDLINE_SOAK_SEED", "0"))
SAID = {
    ("kill", "replay"): "replay store was lost",
    ("stop", "replay"): "replay store (deadlines.store): no answer after",
    ("kill", "learner"): "learner was lost",
    ("stop", "learner"): "heartbeat of learner (deadlines.heartbeat): no answer after",
}
"""What a run says when it ends for want of somebody."""
STARTS_KILLED = 3
SECONDS_STOPPED = 40.0
"""Longer than the driver has patience with its workers."""


@pytest.fixture(autouse=True)
def _no_driver_left():
    yield
    kill_drivers()


@pytest.fixture
def striker(request):
    """Tells what it did."""
    found = Striker(SEED)
    yield found
    print(f"\n{request.node.name}: {found.told()}")


@pytest.mark.parametrize("role", ["replay", "learner"])
def test_a_run_that_loses_what_nobody_replaces_says_so_and_resumes(tmp_path, striker, role):
    prepare(tmp_path)
    run = train(tmp_path, "soak", "steps=100000")
    for how in striker.random.sample(("kill", "stop"), 2):
        go_on(run, tmp_path, "soak", steps=striker.random.randint(1, 5))
        print(how, role, "after step", steps_done(tmp_path, "soak"), flush=True)
        pids = run.descendants()
        assert processes(run, role), f"no {role} in the run"
        getattr(striker, how)(run, role)
        assert run.finish(seconds=150) == 1, run.complaint()
        assert_gone_within(pids, 30)
        (line,) = [line for line in run.err if line.startswith("redline: ")]
        assert SAID[how, role] in line
        assert "Traceback" not in run.complaint()
        run = train(tmp_path, "soak", "--resume")
    go_on(run, tmp_path, "soak")
    end(run, tmp_path)


def test_a_driver_that_is_killed_or_stopped_costs_nothing(tmp_path, striker):
    prepare(tmp_path)
    run = train(tmp_path, "soak", "steps=100000")
    go_on(run, tmp_path, "soak", steps=striker.random.randint(2, 6))
    kill(striker, run)
    for _ in range(STARTS_KILLED):
        run = train(tmp_path, "soak", "--resume")
        time.sleep(striker.random.uniform(0, 20))
        kill(striker, run)
    run = train(tmp_path, "soak", "--resume")
    go_on(run, tmp_path, "soak")
    assert striker.stop(run, "driver", SECONDS_STOPPED)
    go_on(run, tmp_path, "soak", steps=5)
    assert "is lost" not in run.complaint(), "a sound worker was blamed for the driver's absence"
    end(run, tmp_path)


def kill(striker, run):
    """Kill the driver; its workers end with it."""
    pids = run.descendants()
    assert striker.kill(run, "driver"), run.complaint()
    assert run.finish() == -9
    assert_gone_within(pids, 30)


def end(run, folder):
    """Stop in order; nobody may be left, and everything must hold."""
    pids = run.descendants()
    run.interrupt()
    assert run.finish(seconds=90) == 130, run.complaint()
    assert_gone_within(pids, 10)
    violations = audit(folder, name="soak")
    print(f"{len(violations)} violations")
    assert not violations, "\n".join(violations)

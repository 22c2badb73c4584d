"""Workers of a running job are killed and stopped at random moments, over and over.

Nothing is lost, nothing is trained twice, nothing is too old, nobody is left; and the lengths of
what is trained on are those of a run that was left in peace.
"""

import os
import time

import pytest
from audit import audit, read_record
from length_test import p_of_equal_lengths
from redline_driving import assert_gone_within, kill_drivers
from soak_run import go_on, prepare, train
from victims import Striker, processes

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(1800)]

SEED = int(os.environ.get("REDLINE_SOAK_SEED", "0"))
STRIKES = int(os.environ.get("REDLINE_SOAK_STRIKES", "40"))
WEIGHTS = {"fork server": 3, "sandbox": 3, "sampler": 1, "engine": 1}
"""How often who is struck: a new engine takes longest."""
SAMPLERS = 2
FLEET = (f"rollout.samplers={SAMPLERS}", "sandbox.actors=2", "steps=100000")


@pytest.fixture(autouse=True)
def _no_driver_left():
    yield
    kill_drivers()


def test_workers_killed_and_stopped_at_random_moments_cost_nothing(tmp_path):
    hurt, calm = tmp_path / "hurt", tmp_path / "calm"
    for folder in (hurt, calm):
        folder.mkdir()
        prepare(folder)
    run = train(hurt, "soak", *FLEET)
    go_on(run, hurt, "soak", steps=1)
    striker = Striker(SEED)
    for _ in range(STRIKES):
        strike(striker, run)
        go_on(run, hurt, "soak")
    # The last workers are replaced; whoever hangs is found, and no engine outlives its sampler.
    violations = [f"{role} hangs unnoticed" for role in striker.unnoticed(120)]
    go_on(run, hurt, "soak")
    violations += engines_left_over(run)
    end(run)
    violations += audit(hurt, name="soak")
    print(f"\n{striker.told()}; {len(violations)} violations")
    assert not violations, "\n".join(violations)
    compare_lengths(hurt, calm)


def strike(striker, run):
    """Kill two of three; of those that are stopped, let half go on after a while."""
    roles = [role for role in WEIGHTS if processes(run, role)]
    (role,) = striker.random.choices(roles, [WEIGHTS[role] for role in roles])
    if striker.random.random() < 2 / 3:
        struck, what = striker.kill(run, role), "killed"
    else:
        seconds = striker.random.choice((None, striker.random.uniform(1, 6)))
        struck, what = striker.stop(run, role, seconds), f"stopped for {seconds} s"
    print(f"{role} {struck} {what}", flush=True)


def engines_left_over(run, seconds=60):
    """What is said of engines that have outlived their samplers."""
    deadline = time.monotonic() + seconds
    while (engines := len(processes(run, "engine"))) > SAMPLERS:
        if time.monotonic() > deadline:
            return [f"{engines} engines of {SAMPLERS} samplers"]
        time.sleep(0.5)
    return []


def end(run):
    """Stop in order; nobody may be left."""
    pids = run.descendants()
    run.interrupt()
    assert run.finish(seconds=90) == 130, run.complaint()
    assert_gone_within(pids, 10)


def compare_lengths(hurt, calm):
    """A second run, of as many steps, with nobody struck."""
    steps = len(read_record(hurt))
    run = train(calm, "soak", *FLEET[:-1], f"steps={steps}")
    assert run.finish(seconds=600) == 0, run.complaint()
    assert audit(calm, name="soak") == []
    for what in ("turns", "tokens"):
        p = p_of_equal_lengths(lengths(hurt, what), lengths(calm, what))
        print(f"lengths in {what} with and without kills: p = {p:.3f}")
        assert p > 0.001


def lengths(folder, what):
    """Lengths of the episodes that were trained on, by group."""
    return [group[what] for line in read_record(folder) for group in line["groups"]]

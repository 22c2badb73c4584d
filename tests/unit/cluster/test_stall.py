"""What is said of a run in which nothing moves."""

import dataclasses

from redline.actors.records import SamplerHealth, SandboxHealth
from redline.cluster.loop.stall import StallWatch, View, diagnose
from redline.cluster.workers.lifecycle import Member, Stage


def sampler(name="sampler-0", stage=Stage.SERVING, work=(), **health):
    member = Member(name=name, worker=None, since=0.0, stage=stage, work=set(work))
    if health:
        member.health = SamplerHealth(worker=name, version=3, ok=True, problem="", **health)
    return member


def sandbox(queued=0, running=0, executions=0, stage=Stage.SERVING):
    health = SandboxHealth(
        worker="sandbox-0", ok=True, problem="", workers=2,
        running=running, queued=queued, executions=executions,
    )  # fmt: skip
    return Member(name="sandbox-0", worker=None, since=0.0, stage=stage, health=health)


VIEW = View(
    now=130.0, step=11, doing="waiting for groups", doing_since=10.0, waits_for_groups=True,
    groups_per_step=4, stored=2, in_flight=("g7", "g8"), samplers=(), sandboxes=(),
)  # fmt: skip


def view(**more):
    return dataclasses.replace(VIEW, **more)


def test_the_learner_itself_is_named():
    text = diagnose(view(waits_for_groups=False, doing="the learner trains"))
    assert text == "step 12: the learner trains for 120 s"


def test_groups_that_wait_for_a_sampler_name_those_that_do_not_serve():
    text = diagnose(view(samplers=[sampler("sampler-3", Stage.STARTING)]))
    assert text == (
        "step 12 has waited 120 s for 4 groups and has 2; "
        "g7, g8 without a sampler: sampler-3 starting for 130 s"
    )
    assert diagnose(view()).endswith("g7, g8 without a sampler: nobody is there")


def test_a_sampler_waits_for_its_engine():
    text = diagnose(view(samplers=[sampler(work=["g7", "g8"], episodes=8, turns=5)]))
    assert text.endswith("g7, g8 with sampler-0 (serving): 8 episodes wait for its engine")


def test_a_sampler_waits_for_sandboxes():
    busy = sampler(work=["g7", "g8"], episodes=8, turns=5, executing=6)
    text = diagnose(view(samplers=[busy], sandboxes=[sandbox(queued=4, running=2)]))
    assert text.endswith(
        "g7, g8 with sampler-0 (serving): 6 of its programs wait for sandboxes; "
        "sandboxes: sandbox-0 serving with 2 running and 4 queued"
    )


def test_without_groups_in_flight_the_credits_are_named():
    assert "no group is being sampled" in diagnose(view(in_flight=()))


def test_many_groups_are_counted():
    text = diagnose(view(in_flight=tuple(f"g{n}" for n in range(9))))
    assert "g0, g1, g2, g3, g4 and 4 more without a sampler" in text


def test_a_stall_is_told_when_nothing_moved_and_again_later():
    now = [0.0]
    members = [sampler(work=["g7", "g8"], episodes=8, turns=5)]

    def look():
        return view(now=now[0], samplers=members)

    watch = StallWatch(look, seconds=60.0)

    def at(seconds):
        now[0] = seconds
        return watch.check()

    assert at(0.0) is None
    assert at(59.0) is None
    assert at(61.0).startswith("nothing has moved for 60 s: step 12 has waited")
    assert at(100.0) is None
    assert at(122.0) is not None
    members[0] = sampler(work=["g7", "g8"], episodes=8, turns=6)
    assert at(200.0) is None, "an action was sampled"
    assert at(261.0) is not None

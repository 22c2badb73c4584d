"""Which tier is used, and what is refused."""

import asyncio
import errno

import pytest

from redline.sandbox import seccomp, trials
from redline.sandbox.blocking import run_all
from redline.sandbox.isolation import refusal, tiers_of
from redline.sandbox.pool import SandboxPool
from redline.sandbox.records import ExecutionRequest, InfrastructureError, IsolationRefused
from redline.sandbox.server import ForkServer, TierUnavailable
from redline.sandbox.settings import SandboxSettings
from redline.sandbox.tiers import TIERS, Tier, weakest_tier

CORRECT = ExecutionRequest(program="def f(x):\n    return x", tests=("assert f(1) == 1",))


@pytest.mark.parametrize("tier", TIERS)
def test_each_tier_runs_and_is_told_with_the_verdict(tier):
    settings = SandboxSettings(min_tier=tier, max_tier=tier, allow_unsafe=True)
    (verdict,) = run_all([CORRECT], workers=1, settings=settings)
    assert verdict.passed
    assert verdict.tier == tier


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"min_tier": "chroot"}, "sandbox.min_tier='chroot': expected one of namespaces, landlock"),
        ({"max_tier": ""}, "sandbox.max_tier='': expected one of"),
        ({"min_tier": "none"}, "needs sandbox.allow_unsafe=true"),
        ({"max_tier": "none"}, "sandbox.max_tier='none' is weaker than sandbox.min_tier='seccomp'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, text):
    with pytest.raises(IsolationRefused, match=text.replace(".", r"\.")):
        run_all([CORRECT], settings=SandboxSettings(**settings))


def test_allow_unsafe_alone_lowers_nothing():
    settings = SandboxSettings(allow_unsafe=True)
    assert tiers_of(settings) == (Tier.NAMESPACES, Tier.LANDLOCK, Tier.SECCOMP)


def test_the_weakest_sandbox_counts():
    assert weakest_tier(["namespaces", "seccomp", "landlock"]) is Tier.SECCOMP
    assert weakest_tier([]) is Tier.NONE


def test_a_refusal_names_what_failed_and_what_to_change():
    failures = [
        TierUnavailable(Tier.NAMESPACES, "namespaces", "EPERM", "unshare(user): no"),
        TierUnavailable(Tier.LANDLOCK, "landlock", "ENOSYS", "landlock_create_ruleset: no"),
    ]
    text = refusal(failures, Tier.LANDLOCK)
    assert "sandbox.min_tier=landlock" in text
    assert "unshare(user): no (EPERM)" in text
    assert "landlock_create_ruleset: no (ENOSYS)" in text
    assert "sandbox.min_tier=seccomp allows weaker isolation" in text


def test_another_architecture_is_refused_with_the_reason(monkeypatch):
    monkeypatch.setattr("redline.sandbox.seccomp.platform.machine", lambda: "aarch64")
    with pytest.raises(seccomp.NoFilterError, match="x86_64 of 64 bits only, this is aarch64"):
        seccomp.build_filter()


def test_an_act_that_is_not_forbidden_is_found():
    (act,) = (act for act in trials.filter_acts() if act.name == "open a file")
    with pytest.raises(trials.LayerDoesNotHold, match="open a file: allowed"):
        trials.must_forbid((act,))


def test_a_fork_that_is_not_forbidden_is_found_and_leaves_nothing():
    (act,) = (act for act in trials.filter_acts() if act.name == "start a process")
    with pytest.raises(trials.LayerDoesNotHold, match="start a process: allowed"):
        trials.must_forbid((act,))


def test_a_child_that_cannot_prepare_itself_is_an_error():
    def prepare():
        raise OSError(errno.EINVAL, "no such layer")

    with pytest.raises(OSError, match="no such layer") as caught:
        trials.must_forbid(trials.filter_acts(), prepare)
    assert caught.value.errno == errno.EINVAL


def test_a_server_is_never_replaced_by_one_of_a_weaker_tier(monkeypatch):
    """What was found at the start is what every later server must give."""

    async def main():
        async with SandboxPool(1, SandboxSettings(recycle_after=1, max_tier="seccomp")) as pool:
            start, seen = ForkServer.start, []

            async def refuse(tier):
                seen.append(tier)
                raise TierUnavailable(tier, "seccomp", "EPERM", "no more")

            monkeypatch.setattr(ForkServer, "start", refuse)
            await pool.run(CORRECT)
            with pytest.raises(InfrastructureError, match="cannot replace a fork server"):
                await pool.run(CORRECT)
            monkeypatch.setattr(ForkServer, "start", start)
            return seen

    assert set(asyncio.run(main())) == {Tier.SECCOMP}

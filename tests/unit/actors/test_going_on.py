"""An episode that was cut and goes on elsewhere is the episode that was never cut."""

import asyncio

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redline.actors.sampler import Sampler
from redline.actors.settings import EngineSettings, RolloutSettings
from redline.replay.in_flight import decode_in_flight, encode_in_flight
from redline.replay.records import TrajectoryStatus

from .fakes import FIXED, FakeSandbox, ScriptedPolicy, task, tokenizer
from .test_sampler import FakeEngine

ACTIONS = [
    "REPL 2 >>>    return a\n",
    "REPL 9 >>>x\n",
    "nonsense\n",
    "ADDL 2 >>>    a = a\n",
    "EXIT\n",
]


class Waiting(ScriptedPolicy):
    """Answers as scripted, but never after `most` turns of an episode."""

    def __init__(self, scripts, most=None, version=3):
        super().__init__(lambda sample, turn: scripts[sample][turn], version)
        self.most = most or {}

    async def __call__(self, prompt, sampling, request_id):
        sample, turn = (int(part) for part in request_id.split("/")[-2:])
        if turn >= self.most.get(sample, 99):
            await asyncio.Event().wait()
        return await super().__call__(prompt, sampling, request_id)


async def started(policy, *, turns, longest=2048):
    async def start_engine(model_path, engine, *, seed, name, version, grammar):
        made = FakeEngine(policy, version)
        made.tokenizer = tokenizer()
        return made

    sampler = Sampler(
        model_path="nowhere",
        rollout=RolloutSettings(
            group_size=3, max_turns=turns, engine=EngineSettings(max_model_len=longest)
        ),
        sandbox=FakeSandbox(good=[FIXED]),
        start_engine=start_engine,
    )
    await sampler.start()
    return sampler


async def cut(scripts, most, turns):
    """A group as it is when every episode has taken the turns that it may."""
    policy = Waiting(scripts, most)
    sampler = await started(policy, turns=turns)
    work = asyncio.create_task(sampler.sample_group(task(), group_id="g"))
    for _ in range(300):
        await asyncio.sleep(0)
    saved = await sampler.in_flight()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert await sampler.in_flight() == ()
    return saved


def facts(trajectory):
    return (
        trajectory.status,
        trajectory.solved,
        [
            (t.command, t.error, t.program, t.feedback, t.reward, t.verdict)
            for t in trajectory.turns
        ],
        [t.state_token_ids.tolist() for t in trajectory.turns],
        [t.action_token_ids.tolist() for t in trajectory.turns],
    )


SCRIPT = st.lists(st.sampled_from(ACTIONS), min_size=5, max_size=5)


@settings(max_examples=40, deadline=None)
@given(
    scripts=st.lists(SCRIPT, min_size=3, max_size=3),
    most=st.lists(st.integers(0, 6), min_size=3, max_size=3),
)
def test_a_group_that_goes_on_is_the_group_that_was_never_cut(scripts, most):
    async def main():
        whole = await (await started(Waiting(scripts), turns=5)).sample_group(task(), group_id="g")
        saved = await cut(scripts, dict(enumerate(most)), turns=5)
        begun = decode_in_flight(pa.BufferReader(encode_in_flight(saved)), "test")
        policy = Waiting(scripts, version=4)
        sampler = await started(policy, turns=5)
        group = await sampler.sample_group(task(), group_id="g", begun=begun[0] if begun else None)
        return (
            whole,
            group,
            policy,
            {e.trajectory.sample_index: len(e.trajectory.turns) for g in begun for e in g.running}
            | {t.sample_index: len(t.turns) for g in begun for t in g.ended},
        )

    whole, group, policy, had = asyncio.run(main())
    assert [facts(t) for t in group.trajectories] == [facts(t) for t in whole.trajectories]
    for trajectory in group.trajectories:
        versions = [set(t.weight_versions.tolist()) for t in trajectory.turns]
        taken = had.get(trajectory.sample_index, 0)
        assert taken in (0, min(most[trajectory.sample_index], len(versions)))
        assert versions == [{3}] * taken + [{4}] * (len(versions) - taken)
    asked = {tuple(int(p) for p in name.split("/")[1:]) for name in policy.request_ids}
    assert all(turn >= had.get(sample, 0) for sample, turn in asked), "none was sampled twice"
    for prompt, name in zip(policy.prompts, policy.request_ids, strict=True):
        sample, turn = (int(part) for part in name.split("/")[1:])
        np.testing.assert_array_equal(prompt, context(whole.trajectories[sample], turn))


def context(trajectory, turn):
    parts = [
        ids for t in trajectory.turns[:turn] for ids in (t.state_token_ids, t.action_token_ids)
    ]
    return np.concatenate([*parts, trajectory.turns[turn].state_token_ids])


@pytest.mark.parametrize(("turns", "longest"), [(2, 2048), (5, 260)])
def test_turns_that_no_longer_fit_the_settings_are_taken_again(turns, longest):
    scripts = [["nonsense\n", "nonsense\n", "EXIT\n", "EXIT\n", "EXIT\n"]] * 3

    async def main():
        (begun,) = await cut(scripts, {0: 2, 1: 2, 2: 2}, turns=5)
        sampler = await started(Waiting(scripts, version=4), turns=turns, longest=longest)
        return await sampler.sample_group(task(), group_id="g", begun=begun)

    for trajectory in asyncio.run(main()).trajectories:
        assert trajectory.status in (TrajectoryStatus.TURN_LIMIT, TrajectoryStatus.TRUNCATED)
        assert trajectory.oldest_version in (4, -1)


def test_seconds_add_up():
    async def main():
        (begun,) = await cut([["nonsense\n", "EXIT\n"]] * 3, {0: 1, 1: 1, 2: 1}, turns=5)
        before = begun.running[0].trajectory.seconds
        sampler = await started(Waiting([["nonsense\n", "EXIT\n"]] * 3), turns=5)
        group = await sampler.sample_group(task(), group_id="g", begun=begun)
        return before, group.trajectories[0].seconds

    before, after = asyncio.run(main())
    assert 0 < before < after

import asyncio

import pytest

from redline.actors.batching import BatchingSandboxClient
from redline.actors.errors import EngineError, WeightMismatch
from redline.actors.sampler import Sampler
from redline.actors.settings import AnswerSettings, RolloutSettings, SamplingSettings
from redline.replay.records import TrajectoryStatus, WeightReceipt

from .fakes import FIXED, FakeSandbox, ScriptedPolicy, task, tokenizer

FIX = "REPL 2 >>>    return a\n"


class FakeEngine:
    stats = None

    def __init__(self, policy, version: int):
        self.tokenizer = tokenizer()
        self.policy = policy
        self.broken: str | None = None
        self.version = version
        self.running = self.most_running = 0
        self.shut_down = False
        self.salts: set[str] = set()

    async def warm_up(self) -> float:
        return 0.0

    async def generate(self, prompt, sampling, request_id, *, cache_salt, stop_token_ids=None):
        self.salts.add(cache_salt)
        self.stops = stop_token_ids
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self.policy(prompt, sampling, request_id)
        finally:
            self.running -= 1

    async def update_weights(self, update, contents, *, tolerance):
        if update == "bad":
            self.broken = "did not arrive"
            raise WeightMismatch("did not arrive", poisoned=True)
        return WeightReceipt(
            worker="s", version=update, max_abs_dlogp=tolerance / 2, pause_ms=1.0, total_ms=2.0
        )

    async def ping(self) -> None:
        self.pings = getattr(self, "pings", 0) + 1
        self.broken = self.dead

    dead: str | None = None

    def shutdown(self) -> None:
        self.shut_down = True


def sampler(policy=None, sandbox=None, version: int | None = 0, **rollout):
    made = []

    async def start_engine(model_path, settings, *, seed, name, version, grammar):
        made.append(FakeEngine(policy or ScriptedPolicy(lambda s, t: (FIX, "EXIT\n")[t]), version))
        return made[-1]

    built = Sampler(
        model_path="nowhere",
        rollout=RolloutSettings(**({"group_size": 4, "max_turns": 3} | rollout)),
        sandbox=sandbox or FakeSandbox(good=[FIXED]),
        name="s",
        version=version,
        start_engine=start_engine,
    )
    return built, made


def test_a_group_holds_every_episode_in_order_and_executes_each_program_once():
    async def main():
        sandbox = FakeSandbox(good=[FIXED])
        built, _ = sampler(sandbox=sandbox)
        await built.start()
        group = await built.sample_group(task(), group_id="g7")
        return group, sandbox, await built.stats()

    group, sandbox, stats = asyncio.run(main())
    assert [t.sample_index for t in group.trajectories] == [0, 1, 2, 3]
    assert {t.status for t in group.trajectories} == {TrajectoryStatus.SOLVED}
    assert {t.worker for t in group.trajectories} == {"s"}
    assert len(sandbox.programs) == 2, "the broken and the fixed program, once for the group"
    assert (stats.groups, stats.episodes, stats.turns, stats.running) == (1, 4, 8, 0)
    assert stats.tokens_sampled == 4 * (len(FIX) + len("EXIT\n"))


def test_no_more_episodes_at_once_than_allowed():
    async def main():
        built, made = sampler(concurrent_episodes=3, group_size=5)
        await built.start()
        await asyncio.gather(*(built.sample_group(task(), group_id=f"g{i}") for i in range(4)))
        return made[0].most_running

    assert asyncio.run(main()) == 3


def test_one_bad_episode_costs_only_itself():
    def script(sample: int, turn: int) -> str:
        if sample == 2:
            raise KeyError("no such action")
        return (FIX, "EXIT\n")[turn]

    async def main():
        built, _ = sampler(ScriptedPolicy(script))
        await built.start()
        return await built.sample_group(task(), group_id="g")

    statuses = [t.status for t in asyncio.run(main()).trajectories]
    assert statuses.count(TrajectoryStatus.SOLVED) == 3
    assert statuses[2] is TrajectoryStatus.ABORTED


def test_a_fault_of_all_episodes_does_not_go_on_in_silence():
    def script(sample: int, turn: int) -> str:
        raise KeyError("a mistake in the program")

    async def main():
        built, _ = sampler(ScriptedPolicy(script))
        await built.start()
        for number in range(15):
            await built.sample_group(task(), group_id=f"g{number}")
        with pytest.raises(EngineError, match="last 16 groups was aborted"):
            await built.sample_group(task(), group_id="g15")

    asyncio.run(main())


def test_an_engine_that_died_fails_the_group_and_leaves_nothing_running():
    async def main():
        async def dead(prompt, sampling, request_id):
            if request_id.endswith("1/0"):
                raise EngineError("gone")
            await asyncio.sleep(60)

        built, made = sampler(dead)
        await built.start()
        with pytest.raises(EngineError, match="gone"):
            await built.sample_group(task(), group_id="g")
        return made[0].running, (await built.stats()).running

    assert asyncio.run(main()) == (0, 0)


def test_nothing_is_sampled_before_the_first_proven_version():
    async def main():
        built, _ = sampler(version=None)
        await built.start()
        with pytest.raises(EngineError, match="no proven weights"):
            await built.sample_group(task(), group_id="g")
        receipt = await built.update_weights(5)
        group = await built.sample_group(task(), group_id="g")
        return receipt.version, await built.version(), len(group.trajectories)

    assert asyncio.run(main()) == (5, 5, 4)


def test_groups_of_different_versions_do_not_share_contexts():
    async def main():
        built, made = sampler()
        await built.start()
        await built.sample_group(task(), group_id="a")
        first = set(made[0].salts)
        await built.update_weights(1)
        await built.sample_group(task(), group_id="b")
        return first, made[0].salts - first

    first, second = asyncio.run(main())
    assert len(first) == len(second) == 1


def test_a_failed_update_shows_in_health_and_keeps_the_version():
    async def main():
        built, _ = sampler()
        health = [await built.health(), await built.start()]
        with pytest.raises(WeightMismatch):
            await built.update_weights("bad")
        return [*health, await built.health()], await built.version()

    health, version = asyncio.run(main())
    assert [h.ok for h in health] == [False, True, False]
    assert health[2].problem == "did not arrive"
    assert version == 0


def test_sampling_and_turns_can_be_chosen_for_one_group():
    seen = []

    async def policy(prompt, sampling, request_id):
        seen.append(sampling)
        return await ScriptedPolicy(lambda s, t: "DELL 9\n")(prompt, sampling, request_id)

    async def main():
        built, _ = sampler(policy)
        await built.start()
        greedy = SamplingSettings(temperature=0.0)
        return await built.sample_group(
            task(), group_id="g", group_size=1, sampling=greedy, max_turns=2
        )

    (trajectory,) = asyncio.run(main()).trajectories
    assert len(trajectory.turns) == 2
    assert all(s.temperature == 0.0 for s in seen)


def test_close_shuts_the_engine_down_once():
    async def main():
        built, made = sampler()
        await built.start()
        await built.close()
        await built.close()
        with pytest.raises(EngineError, match="closed"):
            await built.sample_group(task(), group_id="g")
        return made[0].shut_down

    assert asyncio.run(main())


def test_an_answering_group_writes_whole_programs():
    async def main():
        policy = ScriptedPolicy(lambda sample, turn: f"{FIXED}\n")
        built, made = sampler(policy=policy)
        await built.start()
        answering = AnswerSettings(answer_tokens=50)
        group = await built.sample_group(task(), group_id="g", group_size=2, answering=answering)
        return group, made[0].stops

    group, stops = asyncio.run(main())
    assert [t.status for t in group.trajectories] == [TrajectoryStatus.SOLVED] * 2
    assert all(len(t.turns) == 1 and t.turns[0].command is None for t in group.trajectories)
    assert 10 not in stops


def test_a_heartbeat_asks_the_engine_and_tells_what_is_going_on():
    async def main():
        built, _ = sampler()
        before = await built.heartbeat()
        built, made = sampler()
        await built.start()
        await built.sample_group(task(), group_id="g")
        sound = await built.heartbeat()
        made[0].dead = "its process died"
        dead = await built.heartbeat()
        await built.heartbeat()
        return before, sound, dead, made[0].pings

    before, sound, dead, pings = asyncio.run(main())
    assert not before.ok
    assert sound.ok
    assert (sound.turns, sound.episodes, sound.executing) == (8, 0, 0)
    assert (dead.ok, dead.problem) == (False, "its process died")
    assert pings == 2, "a broken engine is not asked"


def test_sandboxes_that_come_and_go_are_told_to_the_client():
    class Elastic(FakeSandbox):
        def change(self, sandboxes):
            self.sandboxes = sandboxes

    async def main(sandbox):
        built, _ = sampler(sandbox=BatchingSandboxClient(sandbox))
        await built.use_sandboxes({"sandbox-1": "handle"})

    elastic = Elastic()
    asyncio.run(main(elastic))
    assert elastic.sandboxes == {"sandbox-1": "handle"}
    asyncio.run(main(FakeSandbox()))

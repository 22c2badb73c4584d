"""Samplers that die all the time do not change how long the episodes are that are trained on."""

import asyncio
import random

import cluster_fakes as fakes
from length_test import p_of_equal_lengths, p_of_equal_means

from redline.actors.recording import Recording
from redline.actors.simulated import SimulatedSampler
from redline.cluster.config import DeadlineSettings
from redline.cluster.load import load_config
from redline.cluster.loop.checkpoints import Checkpoints
from redline.cluster.loop.controller import Controller, Plan
from redline.cluster.loop.credits import Credits
from redline.cluster.loop.records import Position
from redline.cluster.loop.task_order import TaskOrder
from redline.cluster.simulating import SimulatedWorker
from redline.cluster.workers.budget import RestartBudget
from redline.cluster.workers.lifecycle import Stage
from redline.cluster.workers.patience import patience_of
from redline.cluster.workers.ports import WorkerLost
from redline.cluster.workers.samplers import ElasticSamplers
from redline.cluster.workers.supervisor import Supervisor
from redline.replay.store import ReplayStore

SAMPLERS, PER_STEP, STEPS = 8, 16, 20
CONFIG = load_config(
    "demo",
    [
        "rollout.simulation.source=builtin", "rollout.simulation.speed=40", "eval.tasks=0",
        "rollout.group_size=4", "max_staleness=2", "fleet.heartbeat_every=60",
    ],
)  # fmt: skip
RECORDING = Recording.read("builtin")


class Fickle(SimulatedSampler):
    """A group's task decides which recorded group is played, luck decides how its episodes go.

    As with an engine, the same group does not fare the same on another sampler; and whoever goes on
    with an episode draws only what can still become of it.
    """

    begun = None

    async def sample_group(self, task, *, group_id, begun=None):
        self.begun = begun  # there is no await before it is drawn
        return await super().sample_group(task, group_id=group_id, begun=begun)

    def draw(self, group_id):
        episodes = random.Random(group_id).choice(RECORDING.groups)
        luck = random.Random(f"{self._seed}/{self.name}/{group_id}")
        running = () if self.begun is None else (e.trajectory for e in self.begun.running)
        turns = {trajectory.sample_index: len(trajectory.turns) for trajectory in running}
        return [
            luck.choice([e for e in episodes if len(e.turns) > turns.get(index, 0)])
            for index in range(self._rollout.group_size)
        ]

    def _take(self, episode, turn):
        super()._take(episode, turn)
        self.on_turn()


class Mortal(SimulatedWorker):
    """A simulated sampler that can be killed, with all that it has."""

    def __init__(self, sampler, append, hit):
        super().__init__(sampler, append)
        self.killed = asyncio.Event()
        self.hit = hit

    async def roll_out(self, task, group_id, begun=None):
        playing = asyncio.ensure_future(super().roll_out(task, group_id, begun))
        dying = asyncio.ensure_future(self.killed.wait())
        try:
            await asyncio.wait([playing, dying], return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                self.hit.append(group_id)
                raise WorkerLost("it was killed")
            return playing.result()
        finally:
            playing.cancel()
            dying.cancel()


class Fleet:
    """Simulated samplers, of which one is killed whenever so many turns were taken."""

    def __init__(self, *, append, seed, turns_per_kill, turns_every):
        self.append, self.seed, self.turns_per_kill = append, seed, turns_per_kill
        self.random = random.Random(seed)
        self.hit, self.kills, self.turns = [], 0, 0
        self.fleet = fleet = Supervisor(
            "sampler",
            spawn=self.spawn,
            patience=patience_of(CONFIG),
            budget=RestartBudget(restarts=10**6, window=1.0, first_delay=0.0, longest_delay=0.0),
            tell=lambda _: None,
        )
        self.samplers = ElasticSamplers(
            [fleet], attempts=1000, push_seconds=60.0, turns_every=turns_every
        )
        fleet.admit = self.samplers.admit

    def spawn(self, name):
        sampler = Fickle(recording=RECORDING, rollout=CONFIG.rollout, name=name, seed=self.seed)
        sampler.on_turn = self.on_turn
        return Mortal(sampler, self.append, self.hit)

    async def __aenter__(self):
        for member in self.fleet.open(SAMPLERS):
            member.told = await member.worker.start()
        self.fleet.run()
        self.keeping = asyncio.ensure_future(self.samplers.keep_turns())
        return self

    async def __aexit__(self, *_):
        self.keeping.cancel()
        await self.fleet.close()

    def on_turn(self):
        self.turns += 1
        if self.turns_per_kill and self.turns % self.turns_per_kill == 0:
            serving = self.fleet.at(Stage.SERVING)
            living = [m.worker for m in serving if not m.worker.killed.is_set()]
            if living:
                self.random.choice(living).killed.set()
                self.kills += 1


def train(folder, *, seed, turns_per_kill=0, turns_every=3600.0):
    """A run: the groups that it trained on, those that lost a sampler, and the number of kills."""
    learner = fakes.FakeLearner(max_staleness=CONFIG.max_staleness)
    with ReplayStore(folder / "replay", groups_per_segment=16) as store:
        stored = {}

        async def append(group):
            assert store.append(group)
            stored[group.group_id] = group

        async def main():
            order = TaskOrder(fakes.make_tasks(50), seed)
            async with Fleet(
                append=append,
                seed=seed,
                turns_per_kill=turns_per_kill,
                turns_every=turns_every,
            ) as fleet:
                controller = Controller(
                    plan=Plan(steps=STEPS, checkpoint_every=100, deadlines=DeadlineSettings()),
                    samplers=fleet.samplers,
                    store=fakes.FakeStore(store),
                    learner=learner,
                    observer=fakes.FakeObserver(),
                    checkpoints=Checkpoints(folder / "checkpoints", keep=2),
                    credits=Credits(max_staleness=2, groups_per_step=PER_STEP),
                    order=order,
                    todo=order.numbers(frozenset()),
                    position=Position(),
                )
                await controller.publish()
                await controller.run()
            return fleet

        fleet = asyncio.run(main())
        assert store.stats().dropped_groups == 0
    assert len(learner.trained) == len(set(learner.trained)) == STEPS * PER_STEP
    return [stored[name] for name in learner.trained], set(fleet.hit), fleet.kills


def lengths(groups, what):
    """Turns or action tokens of each episode, by group."""
    measure = {
        "turns": lambda trajectory: len(trajectory.turns),
        "tokens": lambda trajectory: sum(len(t.action_token_ids) for t in trajectory.turns),
    }[what]
    return [[measure(t) for t in group.trajectories] for group in groups]


def test_dying_samplers_do_not_change_the_lengths_that_are_trained_on(tmp_path):
    calm, untouched, _ = train(tmp_path / "calm", seed=1)
    hurt, hit, kills = train(tmp_path / "hurt", seed=2, turns_per_kill=300, turns_every=0.005)
    assert not untouched
    assert kills >= 15
    assert len(hit) > len(hurt) / 10, "too few groups lost a sampler for the test to mean anything"
    both = [{group.group_id: group for group in groups} for groups in (calm, hurt)]
    pairs = sorted(both[0].keys() & both[1].keys())
    assert len(pairs) > 0.8 * len(calm)
    for what in ("turns", "tokens"):
        assert p_of_equal_lengths(lengths(hurt, what), lengths(calm, what)) > 0.001
        one, other = (lengths([groups[name] for name in pairs], what) for groups in both)
        assert p_of_equal_means(one, other) > 0.001


def test_the_tests_see_it_when_long_episodes_vanish():
    rng = random.Random(0)
    calm = [rng.choices(rng.choice(RECORDING.groups), k=4) for _ in range(300)]
    # One in three of the episodes above the median is begun anew, and then may be shorter.
    lengths = [[len(episode.turns) for episode in group] for group in calm]
    hurt = [
        [rng.choice(group) if length > 6 and rng.random() < 1 / 3 else length for length in group]
        for group in lengths
    ]
    fresh = [rng.choices(rng.choice(RECORDING.groups), k=4) for _ in range(300)]
    cut = [[min(length, 6) for length in group] for group in lengths]
    assert p_of_equal_means(hurt, lengths) < 0.01
    assert p_of_equal_lengths(cut, lengths) < 0.01
    assert p_of_equal_lengths([[len(e.turns) for e in g] for g in fresh], lengths) > 0.01

"""Workers without Ray that can be killed, hung or poisoned at will."""

import asyncio
from dataclasses import dataclass, field

from redline.actors.records import SandboxHealth
from redline.cluster.checks.resources import Need, Offer
from redline.cluster.errors import WorkFailed
from redline.cluster.workers.budget import RestartBudget
from redline.cluster.workers.ports import ResultLost, WeightsUnproven, WorkerLost
from redline.cluster.workers.rollouts import RolloutFleet
from redline.cluster.workers.samplers import ElasticSamplers
from redline.cluster.workers.scaling import Scaler
from redline.cluster.workers.supervisor import Patience, Supervisor
from redline.replay.records import WeightReceipt


@dataclass(eq=False)
class FakeWorker:
    name: str
    world: "World"
    dead: str = ""
    hung: bool = False
    poisoned: bool = False
    ended: bool = False
    version: int | None = None
    sandboxes: tuple[str, ...] = ()
    groups: dict[str, int] = field(default_factory=dict)
    handle: object = None
    turns: tuple = ()
    """What it tells of groups in flight instead of its name."""
    asked: int = 0

    def __post_init__(self):
        self.handle = self
        self.changed = asyncio.Event()

    def kill(self, why="was killed"):
        self.dead = why
        self.changed.set()

    async def start(self):
        await asyncio.sleep(0)
        if self.world.cannot_start:
            raise WorkFailed(f"{self.name} failed: {self.world.cannot_start}")
        return self.name

    async def heartbeat(self):
        await asyncio.sleep(3600 if self.hung else 0)
        if self.dead:
            raise WorkerLost(self.dead)
        queued = len(self.groups)
        return SandboxHealth(
            worker=self.name, ok=True, problem="", workers=1, running=0, queued=queued, executions=0
        )

    async def end(self, seconds):
        self.ended = True
        self.kill(self.dead or "was ended")

    async def use_sandboxes(self, sandboxes):
        await asyncio.sleep(0 if sandboxes else self.world.slow_news)
        self.sandboxes = tuple(sorted(sandboxes))

    async def update_weights(self, published):
        await asyncio.sleep(3600 if self.hung else 0)
        if self.dead:
            raise WorkerLost(self.dead)
        if self.poisoned or self.world.poisonous:
            raise WeightsUnproven(f"{self.name} holds other weights")
        self.version = published.version
        return WeightReceipt(
            worker=self.name, version=published.version, max_abs_dlogp=0, pause_ms=1, total_ms=1
        )

    async def in_flight(self):
        await asyncio.sleep(3600 if self.hung else 0)
        if self.dead:
            raise WorkFailed(f"{self.name} was lost: {self.dead}")
        self.asked += 1
        if self.turns:
            return self.turns
        return (f"begun on {self.name}",)

    async def roll_out(self, task, group_id, begun):
        assert self.version is not None or self.world.starts_proven, "unproven, and given work"
        assert self.version == self.world.version or self.world.pushing, "served old weights"
        self.groups[group_id] = self.version
        if begun is not None:
            self.world.went_on.append((group_id, begun))
        self.world.begun.append((group_id, self.name))
        try:
            waiting = asyncio.ensure_future(self.changed.wait())
            await asyncio.wait([waiting], timeout=3600 if self.hung else self.world.seconds)
            waiting.cancel()
            if group_id in self.world.unlucky:
                raise ResultLost("its node was lost")
            if self.dead:
                raise WorkerLost(self.dead)
            self.world.store.setdefault(group_id, self.name)
        finally:
            del self.groups[group_id]


class World:
    """A fleet of fake workers, and what became of its groups."""

    def __init__(
        self,
        *,
        samplers=2,
        sandboxes=1,
        starts_proven=False,
        attempts=5,
        push=30.0,
        turns_every=3600.0,
        kinds=None,
        **patience,
    ):
        self.workers = {}
        self.went_on = []
        self.begun, self.store, self.lines, self.unlucky = [], {}, [], set()
        self.cannot_start, self.poisonous, self.pushing = "", False, False
        self.seconds, self.version = 0.005, None
        self.slow_news = 0.0
        """Seconds until a worker hears that there is no sandbox."""
        self.starts_proven = starts_proven
        self.patience = Patience(
            **({"start": 60.0, "heartbeat": 60.0, "drain": 60.0, "pause": 0.005} | patience)
        )
        self.budget = {"restarts": 100, "window": 60.0, "first_delay": 0.0, "longest_delay": 0.0}
        self.asked = samplers, sandboxes
        self.kinds = kinds or {}
        """Counts and shares of further kinds of samplers."""
        self.attempts = attempts
        self.push_seconds = push
        self.turns_every = turns_every

    def spawn(self, name):
        self.workers[name] = FakeWorker(name, self)
        return self.workers[name]

    async def __aenter__(self):
        samplers, sandboxes = self.asked
        further = [self.supervisor(f"sampler-{kind}") for kind in self.kinds]
        for fleet, (_, share) in zip(further, self.kinds.values(), strict=True):
            fleet.share = share
        self.fleet = self.supervisor("sampler")
        self.samplers = ElasticSamplers(
            [self.fleet, *further],
            attempts=self.attempts,
            push_seconds=self.push_seconds,
            proven=0 if self.starts_proven else None,
            turns_every=self.turns_every,
        )
        self.rollouts = RolloutFleet(
            self.samplers,
            self.supervisor("sandbox"),
            names=["samplers", *(f"{kind}_samplers" for kind in self.kinds)],
        )
        counts = [samplers, *(count for count, _ in self.kinds.values()), sandboxes]
        for fleet, count in zip(self.rollouts.fleets.values(), counts, strict=True):
            for member in fleet.open(count):
                member.told = await member.worker.start()
        self.rollouts.run()
        return self

    async def __aexit__(self, *_):
        await self.rollouts.close()

    def supervisor(self, kind):
        return Supervisor(
            kind,
            spawn=self.spawn,
            patience=self.patience,
            budget=RestartBudget(**self.budget),
            tell=self.lines.append,
        )

    async def push(self, version):
        self.pushing = True
        receipts = await self.samplers.push(Update(version))
        self.version, self.pushing = version, False
        return receipts

    async def until(self, holds, seconds=60.0):
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.002)

    def serving(self):
        from redline.cluster.workers.lifecycle import Stage

        return sorted(member.name for member in self.samplers.at(Stage.SERVING))


@dataclass
class Update:
    version: int


NEEDS = {
    "samplers": Need(kind="sampler", count=0, num_cpus=2.0, num_gpus=1.0),
    "cpu_samplers": Need(kind="sampler-cpu", count=0, num_cpus=8.0, num_gpus=0.0),
    "sandboxes": Need(kind="sandbox", count=0, num_cpus=1.0, num_gpus=0.0),
}


def make_scaler(world, *, cpus=100.0, gpus=100.0, fits=lambda engines: None):
    async def offers():
        return [Offer(node="big", num_cpus=cpus, num_gpus=gpus)]

    return Scaler(world.rollouts, needs=NEEDS, offers=offers, fits=fits, tell=world.lines.append)

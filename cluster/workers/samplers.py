"""All samplers of a run, whoever they are at the moment.

What always holds:
- only a sampler that has proven the newest published weights is given a group;
- a group whose sampler is lost goes on under the same id on another one, from the turns that were
  last seen of it; of each id the store keeps one copy;
- when `push` returns, every sampler that may be given work serves the pushed version; one that
  could not prove it in time is replaced.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from redline.actors.settings import AnswerSettings, SamplingSettings
from redline.cluster.deadlines import in_time, unless
from redline.cluster.errors import WorkFailed
from redline.cluster.published import PublishedWeights
from redline.cluster.workers.lifecycle import Member, Stage
from redline.cluster.workers.news import News
from redline.cluster.workers.ports import (
    ResultLost,
    SamplerWorker,
    WeightsUnproven,
    WorkerLost,
)
from redline.cluster.workers.supervisor import Supervisor
from redline.dsl.tasks import RepairTask
from redline.replay.records import PartialGroup, TrajectoryGroup, WeightReceipt

_log = logging.getLogger(__name__)
T = TypeVar("T")
_Placed = tuple[Supervisor[SamplerWorker], Member[SamplerWorker]]
_SECONDS_TO_TELL = 4.0
"""Of the time that an orderly stop has."""
_EARLIER = 0.9
"""Share of the push's deadline after which a sampler is given up, before the push itself is."""


class ElasticSamplers:
    """The controller's samplers, over fleets that change, one for each kind of samplers.

    attempts:     samplers that a group may lose before the run is given up.
    push_seconds: deadline of a whole push.
    proven:       version of the weights that samplers start with; None when they are not to be
                  served, so that nothing is sampled before the first push.
    turns_every:  seconds between two looks at the turns of groups in flight.
    """

    def __init__(
        self,
        fleets: Sequence[Supervisor[SamplerWorker]],
        *,
        attempts: int,
        push_seconds: float,
        proven: int | None = None,
        turns_every: float = 30.0,
    ) -> None:
        self.fleets = fleets
        self.news = News()
        """Of all fleets."""
        self.requeued = 0
        """Groups that were started again because their sampler was lost."""
        self._attempts = attempts
        self._push_seconds = push_seconds
        self._newest: PublishedWeights | None = None
        self._version = proven
        self._starts_proven = proven is not None
        self._published = News()
        for fleet in fleets:
            fleet.news = self.news
        self._turns_every = turns_every
        self._turns: dict[str, PartialGroup | None] = {}
        """Of every group that is rolled out, what was last seen."""

    def at(self, *stages: Stage) -> list[Member[SamplerWorker]]:
        """Samplers in one of these stages, of whatever kind."""
        return [member for _, member in self._placed(*stages)]

    @property
    def members(self) -> list[Member[SamplerWorker]]:
        """All samplers that hold a place now."""
        return [member for fleet in self.fleets for member in fleet.members]

    async def failure(self) -> str:
        """Wait until nobody is left of any kind and nobody comes; returns why."""
        while not (problem := self._problem()):
            await self.news.wait()
        return problem

    async def roll_out(
        self, task: RepairTask, group_id: str, begun: PartialGroup | None = None
    ) -> None:
        """Sample a group and store it; the trajectories never pass through the driver."""
        turns = self._turns
        turns[group_id] = begun
        try:
            await self._somewhere(
                group_id, lambda worker: worker.roll_out(task, group_id, turns[group_id])
            )
        finally:
            del turns[group_id]

    async def keep_turns(self) -> None:
        """Look at the turns of groups in flight now and then, until cancelled.

        Were a group begun anew whenever its sampler is lost, episodes would get shorter: the longer
        one is, the likelier it is lost before its end.
        """
        while True:
            await asyncio.sleep(self._turns_every)
            for member in self.at(Stage.SERVING, Stage.DRAINING):
                if not self._turns:
                    break
                try:
                    told = member.worker.in_flight()
                    groups = await in_time(told, self._turns_every, member.name)
                except WorkFailed:
                    continue  # its heartbeats tell whether it is lost, or only busy
                self._turns |= {g.group_id: g for g in groups if g.group_id in self._turns}

    async def in_flight(self) -> list[PartialGroup]:
        """Every group that is being sampled; of a sampler that is lost, none."""
        members = self.at(Stage.SERVING, Stage.DRAINING)
        told = await asyncio.gather(*(_groups_of(member) for member in members))
        return [group for groups in told for group in groups]

    async def sample_group(
        self,
        task: RepairTask,
        *,
        group_id: str,
        group_size: int | None = None,
        sampling: SamplingSettings | None = None,
        max_turns: int | None = None,
        answering: AnswerSettings | None = None,
    ) -> TrajectoryGroup:
        """Sample a group without storing it."""
        return await self._somewhere(
            group_id,
            lambda worker: worker.sample_group(
                task,
                group_id=group_id,
                group_size=group_size,
                sampling=sampling,
                max_turns=max_turns,
                answering=answering,
            ),
        )

    def each(self) -> list["ElasticSamplers"]:
        """As many as do what the samplers can, for an evaluation that works on all of them."""
        return [self] * max(1, round(sum(fleet.target * fleet.share for fleet in self.fleets)))

    async def push(self, published: PublishedWeights) -> list[WeightReceipt]:
        """Have every sampler pull and prove these weights; one that does not is replaced.

        Raises WorkFailed when one's weights are wrong after the very first push: it is no accident
        then.
        """
        first = self._version is None
        self._newest, self._version = published, published.version
        self._published.spread()
        placed = self._placed(Stage.PROVING if first else Stage.SERVING, Stage.DRAINING)
        await asyncio.gather(*(self._prove_or_lose(fleet, member) for fleet, member in placed))
        members = [member for _, member in placed]
        unproven = [m.problem for m in members if m.stage is Stage.QUARANTINED]
        if first and unproven:
            raise WorkFailed("; ".join(unproven))
        return [m.receipt for m in members if m.live and m.version == published.version]

    async def admit(self, member: Member[SamplerWorker]) -> None:
        """Wait until it holds the newest proven weights; there is no await after that."""
        if self._starts_proven:
            return
        while self._version is None:
            await self._published.wait()
        await self._prove(member)

    async def _prove_or_lose(
        self, fleet: Supervisor[SamplerWorker], member: Member[SamplerWorker]
    ) -> None:
        try:
            await self._prove(member)
        except WorkerLost as error:
            fleet.lose(member, error)

    async def _prove(self, member: Member[SamplerWorker]) -> None:
        """Bring the newest weights, and newer ones that are published meanwhile."""
        async with member.proof:
            while self._newest is not None and member.version != self._version:
                if not member.live:
                    raise WorkerLost(member.problem)
                update = member.worker.update_weights(self._newest)
                what = f"weight version {self._version} on {member.name} (deadlines.push)"
                try:
                    member.receipt = await in_time(update, self._push_seconds * _EARLIER, what)
                except WorkFailed as error:
                    raise WeightsUnproven(str(error)) from error
                member.version = member.receipt.version

    async def _pick(self) -> _Placed:
        """The serving sampler that one more group is least for, waiting until there is one.

        Raises WorkFailed when there will be none.
        """
        while not (serving := self._placed(Stage.SERVING)):
            if problem := self._problem():
                raise WorkFailed(problem)
            await self.news.wait()
        return min(serving, key=lambda placed: (len(placed[1].work) + 1) / placed[0].share)

    def _placed(self, *stages: Stage) -> list[_Placed]:
        return [(fleet, member) for fleet in self.fleets for member in fleet.at(*stages)]

    def _problem(self) -> str:
        """Why nobody is left; empty while there is somebody, or somebody comes."""
        problems = [fleet.problem for fleet in self.fleets]
        return "; ".join(problems) if all(problems) else ""

    async def _somewhere(self, group_id: str, sample: Callable[[SamplerWorker], Awaitable[T]]) -> T:
        """Have a sampler do it; another one when that is lost meanwhile."""
        problems = []
        for _ in range(self._attempts):
            fleet, member = await self._pick()
            member.work.add(group_id)
            try:
                return await _unless_gone(member, sample(member.worker))
            except WorkerLost as error:
                fleet.lose(member, error)
                problems.append(f"{member.name}: {member.problem}")
            except ResultLost as error:
                problems.append(f"{member.name}: {error}")
            finally:
                member.work.discard(group_id)
                self.news.spread()
            self.requeued += 1
        raise WorkFailed(
            f"group {group_id} was lost {self._attempts} times (fleet.group_attempts): "
            f"{'; '.join(problems)}"
        )


async def _groups_of(member: Member[SamplerWorker]) -> Sequence[PartialGroup]:
    """A sampler's groups. One that is lost or hangs must not keep the run from being saved."""
    try:
        return await in_time(member.worker.in_flight(), _SECONDS_TO_TELL, member.name)
    except WorkFailed as error:
        _log.warning("%s; a resumed run begins its groups again", error)
        return ()


async def _unless_gone(member: Member[SamplerWorker], work: Awaitable[T]) -> T:
    """The result of work; raises WorkerLost when its worker is gone before."""
    left = f"{member.name} left the fleet"
    return await unless(work, member.gone.wait(), lambda _: WorkerLost(member.problem or left))

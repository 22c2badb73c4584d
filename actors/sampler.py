"""A sampler: one engine and the many episodes that share it.

A plain class; the cluster room makes it a Ray actor. Episodes are coroutines without any barrier
between them or their turns: the engine batches whatever is waiting at each of its steps.
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from redline.actors.all_or_cancel import all_or_cancel
from redline.actors.answer import AnswerRules, run_answer
from redline.actors.counted_sandbox import CountedSandbox
from redline.actors.engine import PolicyEngine
from redline.actors.episode import EpisodeId, EpisodeRules, run_episode
from redline.actors.errors import EngineError, StartError
from redline.actors.in_flight import LiveGroup
from redline.actors.judging import TaskJudge
from redline.actors.records import SamplerHealth, SamplerStats
from redline.actors.settings import AnswerSettings, RolloutSettings, SamplingSettings
from redline.dsl.dialogue import ChatTemplateError
from redline.dsl.settings import PromptSettings, RewardSettings
from redline.dsl.tasks import RepairTask
from redline.replay.records import (
    BucketContent,
    Completion,
    PartialGroup,
    Trajectory,
    TrajectoryGroup,
    TrajectoryStatus,
    WeightReceipt,
    WeightUpdate,
)
from redline.sandbox.client import SandboxClient
from redline.sandbox.records import Limits

_MOST_BARREN_GROUPS = 16
"""Groups in a row without one finished episode, after which something else must be wrong."""

_Run = Callable[..., Coroutine[Any, Any, Trajectory]]
EngineStarter = Callable[..., Awaitable[PolicyEngine]]


class Sampler:
    """Runs groups of episodes on one engine.

    model_path: policy folder or Hugging Face name.
    version:    version of the weights at `model_path`; None when they must not be served, so that
                nothing is sampled before the first proven update.
    """

    def __init__(
        self,
        *,
        model_path: str,
        rollout: RolloutSettings,
        sandbox: SandboxClient,
        prompts: PromptSettings | None = None,
        rewards: RewardSettings | None = None,
        limits: Limits | None = None,
        name: str = "sampler-0",
        seed: int = 0,
        version: int | None = 0,
        start_engine: EngineStarter = PolicyEngine.start,
    ) -> None:
        self.name = name
        self._model_path = model_path
        self._rollout = rollout
        self._sandbox = CountedSandbox(sandbox)
        self._prompts = prompts or PromptSettings()
        self._rewards = rewards or RewardSettings()
        self._limits = limits or Limits()
        self._seed = seed
        self._version = version
        self._start_engine = start_engine
        self._engine: PolicyEngine | None = None
        self._slots = asyncio.Semaphore(rollout.concurrent_episodes)
        self._running = self._groups = self._episodes = self._aborted = 0
        self._actions = self._turns = self._tokens_sampled = self._tokens_state = self._updates = 0
        self._barren = 0
        self._live: dict[str, LiveGroup] = {}
        self._seconds_start = 0.0

    async def start(self) -> SamplerHealth:
        """Start the engine and run what it compiles on first use; raises StartError."""
        began = time.perf_counter()
        self._engine = await self._start_engine(
            self._model_path,
            self._rollout.engine,
            seed=self._seed,
            name=self.name,
            version=0 if self._version is None else self._version,
            grammar=self._rollout.sampling.grammar,
        )
        try:
            self._engine.tokenizer.dialogue(self._prompts)
        except ChatTemplateError as error:
            raise StartError(f"policy {self._model_path!r}: {error}") from error
        await self._engine.warm_up()
        self._seconds_start = time.perf_counter() - began
        return await self.health()

    async def sample_group(
        self,
        task: RepairTask,
        *,
        group_id: str,
        group_size: int | None = None,
        sampling: SamplingSettings | None = None,
        max_turns: int | None = None,
        answering: AnswerSettings | None = None,
        begun: PartialGroup | None = None,
    ) -> TrajectoryGroup:
        """Run `group_size` episodes of one task; what is not given comes from the settings.

        With `answering`, each writes the whole program at once instead of editing it. Episodes of
        `begun` that ended are taken as they are, the others go on from their last turn.

        The group always holds `group_size` trajectories, aborted ones included. Raises EngineError
        when the engine must be replaced or holds no proven version yet, and when nothing but
        aborted groups came out for a while: then the fault is not in the episodes.
        """
        engine = self._serving()
        judge = TaskJudge(task, self._sandbox, self._limits)
        # One salt for the group: its members share contexts with each other, but not with groups
        # that began under other weights.
        generate = functools.partial(self._generate, engine, cache_salt=f"version {self._version}")
        run: _Run = functools.partial(
            self._attempt(sampling or self._rollout.sampling, max_turns, answering),
            task,
            generate=generate,
            judge=judge,
            tokenizer=engine.tokenizer,
        )
        ids = [
            EpisodeId(group_id=group_id, sample_index=index, worker=self.name)
            for index in range(group_size or self._rollout.group_size)
        ]
        if answering is None:
            trajectories = await self._run_episodes(
                run, ids, LiveGroup(group_id, task, self.name, begun)
            )
        else:
            trajectories = await all_or_cancel([self._run(run, identity) for identity in ids])
        self._groups += 1
        self._check_not_barren(trajectories)
        return TrajectoryGroup(
            group_id=group_id, task_id=task.task_id, trajectories=tuple(trajectories)
        )

    async def in_flight(self) -> tuple[PartialGroup, ...]:
        """Every group that is being edited, as far as it is."""
        return tuple(group.so_far() for group in self._live.values())

    async def update_weights(self, update: WeightUpdate, *contents: BucketContent) -> WeightReceipt:
        """Serve new weights while episodes run; raises WeightMismatch (see errors.py).

        `contents` are those of the update's buckets.
        """
        receipt = await self._started().update_weights(
            update, contents, tolerance=self._rollout.probe_tolerance
        )
        self._version = receipt.version
        self._updates += 1
        return receipt

    async def version(self) -> int | None:
        """Version that is served, or None before the first proven one."""
        return self._version

    async def health(self) -> SamplerHealth:
        """Whether the engine can go on; cheap, does not ask the engine's process."""
        problem = "it was not started" if self._engine is None else self._engine.broken or ""
        return SamplerHealth(
            worker=self.name,
            version=self._version,
            ok=not problem,
            problem=problem,
            episodes=self._running,
            executing=self._sandbox.executing,
            turns=self._actions,
        )

    async def heartbeat(self) -> SamplerHealth:
        """`health`, after the engine's process has answered; late when that hangs."""
        if self._engine is not None and not self._engine.broken:
            await self._engine.ping()
        return await self.health()

    async def use_sandboxes(self, sandboxes: Mapping[str, Any]) -> None:
        """Have programs executed by these from now on: handles by name."""
        self._sandbox.change(sandboxes)

    async def stats(self) -> SamplerStats:
        """Counts since the start."""
        return SamplerStats(
            worker=self.name,
            version=self._version,
            running=self._running,
            groups=self._groups,
            episodes=self._episodes,
            aborted=self._aborted,
            turns=self._turns,
            tokens_sampled=self._tokens_sampled,
            tokens_state=self._tokens_state,
            updates=self._updates,
            seconds_start=self._seconds_start,
            problem=(await self.health()).problem,
            engine=None if self._engine is None else self._engine.stats,
        )

    async def close(self) -> None:
        """Stop the engine's process; calling it twice does nothing."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.shutdown()

    async def _generate(self, engine: PolicyEngine, *request: Any, **options: Any) -> Completion:
        """Sample one action, and count it."""
        completion = await engine.generate(*request, **options)
        self._actions += 1
        return completion

    def _attempt(
        self, sampling: SamplingSettings, max_turns: int | None, answer: AnswerSettings | None
    ) -> functools.partial[Coroutine[Any, Any, Trajectory]]:
        """How a task is attempted: by editing its program, or by writing a whole one."""
        max_context = self._rollout.engine.max_model_len
        if answer is not None:
            rules = AnswerRules(
                max_context=max_context, answer=answer, sampling=sampling, prompts=self._prompts
            )
            return functools.partial(run_answer, rules=rules)
        return functools.partial(
            run_episode,
            rules=EpisodeRules(
                max_turns=max_turns or self._rollout.max_turns,
                max_context=max_context,
                sampling=sampling,
                prompts=self._prompts,
                rewards=self._rewards,
            ),
        )

    async def _run_episodes(
        self, run: _Run, ids: Sequence[EpisodeId], group: LiveGroup
    ) -> list[Trajectory]:
        """Run the episodes of a group that have not ended, where `in_flight` can see them."""

        async def one(identity: EpisodeId) -> Trajectory:
            index = identity.sample_index
            if index in group.ended:
                return group.ended[index]
            episode = functools.partial(run, live=group.episode(index))
            return group.keep(await self._run(episode, identity))

        self._live[group.group_id] = group
        try:
            return await all_or_cancel([one(identity) for identity in ids])
        finally:
            del self._live[group.group_id]

    async def _run(self, run: _Run, identity: EpisodeId) -> Trajectory:
        async with self._slots:
            self._running += 1
            try:
                trajectory = await run(identity=identity)
            finally:
                self._running -= 1
        self._count(trajectory)
        return trajectory

    def _check_not_barren(self, trajectories: list[Trajectory]) -> None:
        """A single bad episode costs only itself, but a fault of all must not go on in silence."""
        barren = all(t.status is TrajectoryStatus.ABORTED for t in trajectories)
        self._barren = self._barren + 1 if barren else 0
        if self._barren >= _MOST_BARREN_GROUPS:
            raise EngineError(
                f"sampler {self.name}: every episode of the last {self._barren} groups was "
                "aborted, expected one bad episode now and then; its log has the reasons"
            )

    def _count(self, trajectory: Trajectory) -> None:
        self._episodes += 1
        self._aborted += trajectory.status is TrajectoryStatus.ABORTED
        self._turns += len(trajectory.turns)
        self._tokens_sampled += sum(len(t.action_token_ids) for t in trajectory.turns)
        self._tokens_state += sum(len(t.state_token_ids) for t in trajectory.turns)

    def _started(self) -> PolicyEngine:
        if self._engine is None:
            raise EngineError(f"sampler {self.name} is not started or closed already")
        return self._engine

    def _serving(self) -> PolicyEngine:
        engine = self._started()
        if self._version is None:
            raise EngineError(
                f"sampler {self.name} holds no proven weights yet: push a version first"
            )
        return engine

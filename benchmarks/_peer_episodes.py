"""Redline's episodes on an engine that samples a whole batch in one blocking call, as TRL's does.

Prompts, editor, feedback, rewards, limits and verdicts are redline's own, and each verdict is
remembered for its group, so that the peer pays for no more executions than redline does.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from redline.actors import vllm_api
from redline.actors.all_or_cancel import all_or_cancel
from redline.actors.episode import EpisodeId, EpisodeRules, run_episode
from redline.actors.errors import EngineError
from redline.actors.judging import TaskJudge
from redline.actors.settings import SamplingSettings
from redline.actors.tokens import PolicyTokenizer
from redline.cluster.config import RunConfig
from redline.dsl.tasks import RepairTask
from redline.replay.records import Completion, Int32, Trajectory
from redline.sandbox.pool import SandboxPool
from redline.sandbox.settings import limits_of

SampleFn = Callable[[list[dict[str, list[int]]], Any], Sequence[Any]]
"""Prompts and vLLM's sampling parameters in, one RequestOutput for each prompt out."""


class TurnsTogether:
    """Holds requests until every episode that goes on has made one, then samples all of them."""

    def __init__(
        self, sample: SampleFn, tokenizer: PolicyTokenizer, settings: SamplingSettings
    ) -> None:
        self._sample = sample
        self._tokenizer = tokenizer
        self._params = vllm_api.sampling_params(
            settings,
            max_tokens=settings.max_command_tokens,
            stop_token_ids=list(tokenizer.stop_token_ids),
            seed=None,
        )
        self._going_on = 0
        self._waiting: list[tuple[Int32, asyncio.Future[Completion]]] = []

    async def play(self, episodes: Sequence[Coroutine[Any, Any, Trajectory]]) -> list[Trajectory]:
        """Run all episodes to their ends; raises EngineError when the engine fails."""
        self._going_on = len(episodes)
        return await all_or_cancel([self._until_its_end(episode) for episode in episodes])

    async def generate(
        self, prompt: Int32, sampling: SamplingSettings, request_id: str
    ) -> Completion:
        """Sample one action after a context of tokens, shape (n,), once all others ask too."""
        answer: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._waiting.append((prompt, answer))
        self._sample_if_all_wait()
        return await answer

    async def _until_its_end(self, episode: Coroutine[Any, Any, Trajectory]) -> Trajectory:
        trajectory = await episode
        self._going_on -= 1
        self._sample_if_all_wait()
        return trajectory

    def _sample_if_all_wait(self) -> None:
        if not self._waiting or len(self._waiting) < self._going_on:
            return
        asked, self._waiting = self._waiting, []
        try:
            outputs = self._sample(
                [{"prompt_token_ids": prompt.tolist()} for prompt, _ in asked], self._params
            )
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"the peer's engine failed: {error}") from error
        for (_, answer), output in zip(asked, outputs, strict=True):
            answer.set_result(self._completion(output.outputs[0]))

    def _completion(self, output: Any) -> Completion:
        token_ids = np.asarray(output.token_ids, dtype=np.int32)
        return Completion(
            token_ids=token_ids,
            logprobs=vllm_api.sampled_logprobs(output, token_ids),
            weight_versions=np.zeros(len(token_ids), dtype=np.int32),
            text=self._tokenizer.decode_action(token_ids),
            finish_reason=output.finish_reason or "abort",
        )


@dataclass(slots=True, kw_only=True)
class Totals:
    """What the batches so far came to."""

    trajectories: int = 0
    tokens: int = 0
    positions: int = 0
    """Tokens with the padding of their batch: prompts on the left, all else on the right."""
    turns: int = 0
    solved: int = 0
    reward: float = 0.0

    def add(self, batch: Sequence[Trajectory]) -> None:
        """Count one batch."""
        prompts = [len(t.turns[0].state_token_ids) for t in batch]
        lengths = [
            sum(len(turn.state_token_ids) + len(turn.action_token_ids) for turn in t.turns)
            for t in batch
        ]
        rest = max(n - prompt for n, prompt in zip(lengths, prompts, strict=True))
        self.trajectories += len(batch)
        self.tokens += sum(lengths)
        self.positions += len(batch) * (max(prompts) + rest)
        self.turns += sum(len(t.turns) for t in batch)
        self.solved += sum(t.solved for t in batch)
        self.reward += sum(turn.reward for t in batch for turn in t.turns)


@dataclass(slots=True, kw_only=True)
class PeerEpisodes:
    """Runs the episodes of a batch of tasks and writes them as TRL wants them.

    All batches share one event loop and its pool of fork servers.
    """

    config: RunConfig
    tasks: dict[str, RepairTask]
    """By task id, which is what the dataset holds."""
    tokenizer: PolicyTokenizer
    pool: SandboxPool
    runner: asyncio.Runner
    totals: Totals = field(default_factory=Totals)

    def run(self, task_ids: Sequence[str], sample: SampleFn) -> dict[str, list[Any]]:
        """One episode for each id; equal ones that follow each other are a group."""
        together = TurnsTogether(sample, self.tokenizer, self.config.rollout.sampling)
        episodes = [
            self._episode(together, self.tasks[task_id], judge, index)
            for task_id, members in groupby(task_ids)
            for judge in [self._judge(task_id)]
            for index, _ in enumerate(members)
        ]
        batch = self.runner.run(together.play(episodes))
        if cut := [t.trajectory_id for t in batch if not t.turns]:
            raise RuntimeError(f"episode {cut[0]} took no turn: expected at least one")
        self.totals.add(batch)
        return _as_trl_wants(batch)

    def _judge(self, task_id: str) -> TaskJudge:
        return TaskJudge(self.tasks[task_id], self.pool, limits_of(self.config.sandbox))

    def _episode(
        self, together: TurnsTogether, task: RepairTask, judge: TaskJudge, index: int
    ) -> Coroutine[Any, Any, Trajectory]:
        rollout = self.config.rollout
        return run_episode(
            task,
            generate=together.generate,
            judge=judge,
            tokenizer=self.tokenizer,
            rules=EpisodeRules(
                max_turns=rollout.max_turns,
                max_context=rollout.engine.max_model_len,
                sampling=rollout.sampling,
                prompts=self.config.prompt,
                rewards=self.config.reward,
            ),
            identity=EpisodeId(group_id=task.task_id, sample_index=index, worker="peer"),
        )


def _as_trl_wants(batch: Sequence[Trajectory]) -> dict[str, list[Any]]:
    """The first state is the prompt; later ones stand in the completion, outside of the loss."""
    rows: dict[str, list[Any]] = {
        "prompt_ids": [], "completion_ids": [], "logprobs": [], "env_mask": [], "reward": [],
    }  # fmt: skip
    for trajectory in batch:
        ids: list[int] = []
        mask: list[int] = []
        logprobs: list[float] = []
        for number, turn in enumerate(trajectory.turns):
            state = turn.state_token_ids.tolist() if number else []
            ids += [*state, *turn.action_token_ids.tolist()]
            mask += [0] * len(state) + [1] * len(turn.action_token_ids)
            logprobs += [0.0] * len(state) + turn.rollout_logprobs.tolist()
        rows["prompt_ids"].append(trajectory.turns[0].state_token_ids.tolist())
        rows["completion_ids"].append(ids)
        rows["logprobs"].append(logprobs)
        rows["env_mask"].append(mask)
        rows["reward"].append(sum(turn.reward for turn in trajectory.turns))
    return rows

"""How many held-out tasks a policy solves while it is trained: real episodes, without an engine.

The policy answers greedily through transformers, one episode after the other. A few tasks say
enough to see whether the commands that it learns to write also repair programs.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from redline.actors.episode import EpisodeId, EpisodeRules, run_episode
from redline.actors.judging import TaskJudge
from redline.actors.settings import SamplingSettings
from redline.actors.tokens import PolicyTokenizer
from redline.cluster.config import SftConfig
from redline.dsl.settings import RewardSettings
from redline.dsl.tasks import RepairTask
from redline.replay.records import Completion, Int32, Trajectory, TrajectoryStatus
from redline.sandbox.settings import limits_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from redline.sandbox.pool import SandboxPool


class SolveRate:
    """Asked for the share of tasks that a policy solves as it is."""

    def __init__(
        self, tasks: Sequence[RepairTask], tokenizer: PolicyTokenizer, config: SftConfig
    ) -> None:
        self._tasks = list(tasks)
        self._tokenizer = tokenizer
        self._config = config
        self._rules = EpisodeRules(
            max_turns=config.sft.solve_turns,
            max_context=config.sft.context,
            sampling=SamplingSettings(temperature=0.0),
            prompts=config.prompt,
            rewards=RewardSettings(),
        )

    def __call__(self, policy: "PreTrainedModel") -> float:
        """Share of tasks solved, 0 to 1; the policy is left in training mode."""
        policy.eval()
        try:
            played = asyncio.run(self._play(policy))
        finally:
            policy.train()
        finished = [t for t in played if t.status is not TrajectoryStatus.ABORTED]
        return sum(t.solved for t in finished) / max(1, len(finished))

    async def _play(self, policy: "PreTrainedModel") -> list[Trajectory]:
        from redline.sandbox.pool import SandboxPool

        async with SandboxPool(1, self._config.sandbox) as pool:
            return [
                await self._episode(task, policy, pool, number)
                for number, task in enumerate(self._tasks)
            ]

    async def _episode(
        self, task: RepairTask, policy: "PreTrainedModel", pool: "SandboxPool", number: int
    ) -> Trajectory:
        return await run_episode(
            task,
            generate=GreedyPolicy(policy, self._tokenizer),
            judge=TaskJudge(task, pool, limits_of(self._config.sandbox)),
            tokenizer=self._tokenizer,
            rules=self._rules,
            identity=EpisodeId(group_id="sft", sample_index=number, worker="sft"),
        )


class GreedyPolicy:
    """A `GenerateFn` that takes the likeliest token of a transformers model."""

    def __init__(self, policy: "PreTrainedModel", tokenizer: PolicyTokenizer) -> None:
        self._policy = policy
        self._tokenizer = tokenizer

    async def __call__(
        self, prompt: Int32, sampling: SamplingSettings, request_id: str
    ) -> Completion:
        """One action; `request_id` is not used."""
        import torch

        stops = set(self._tokenizer.stop_token_ids)
        ids = torch.from_numpy(prompt).long()[None].to(self._policy.device)
        chosen: list[int] = []
        cache = None
        with torch.inference_mode():
            while len(chosen) < sampling.max_command_tokens and not stops & {*chosen[-1:]}:
                output = self._policy(input_ids=ids, past_key_values=cache, use_cache=True)
                cache = output.past_key_values
                ids = output.logits[:, -1:].argmax(-1)
                chosen.append(int(ids))
        token_ids = np.array(chosen, dtype=np.int32)
        return Completion(
            token_ids=token_ids,
            logprobs=np.zeros(len(chosen), np.float32),
            weight_versions=np.zeros(len(chosen), np.int32),
            text=self._tokenizer.decode_action(token_ids),
            finish_reason="stop" if stops & {*chosen[-1:]} else "length",
        )

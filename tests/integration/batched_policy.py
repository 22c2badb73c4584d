"""Episodes of a policy in this process, without an engine: the same seed gives the same draws.

All running episodes take their turns together: who waits for an action is answered when everyone
does. So what is drawn depends on the seed alone, not on the time that anything takes.
"""

import asyncio
from dataclasses import dataclass, field

import numpy as np
import torch

from redline.actors.episode import EpisodeId, EpisodeRules, run_episode
from redline.actors.judging import TaskJudge
from redline.actors.tokens import PolicyTokenizer
from redline.replay.records import Completion, TrajectoryGroup
from redline.sandbox.records import Limits


@dataclass
class BatchedPolicy:
    """A `GenerateFn` over a transformers model that samples at temperature 1."""

    model: torch.nn.Module
    tokenizer: PolicyTokenizer
    generator: torch.Generator
    running: int = 0
    waiting: dict = field(default_factory=dict)

    async def __call__(self, prompt, sampling, request_id):
        """One action, drawn with those of all other running episodes."""
        answer = asyncio.get_running_loop().create_future()
        self.waiting[request_id] = (prompt, sampling.max_command_tokens, answer)
        self.answer_if_all_wait()
        return await answer

    def answer_if_all_wait(self):
        """Sample for everyone once nobody does anything else."""
        if not self.waiting or len(self.waiting) < self.running:
            return
        asked = [self.waiting[name] for name in sorted(self.waiting)]
        self.waiting = {}
        try:
            found = self._sample([prompt for prompt, _, _ in asked], asked[0][1])
        except Exception as error:
            for _, _, answer in asked:
                answer.set_exception(error)
            raise
        for (_, _, answer), completion in zip(asked, found, strict=True):
            answer.set_result(completion)

    @torch.inference_mode()
    def _sample(self, prompts, limit):
        width = max(map(len, prompts))
        ids, mask = torch.zeros(2, len(prompts), width, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.from_numpy(prompt)
            mask[row, width - len(prompt) :] = 1
        places = (mask.cumsum(-1) - 1).clamp(min=0)
        cache, stops = None, torch.tensor(self.tokenizer.stop_token_ids)
        tokens, logprobs, done = [], [], torch.zeros(len(prompts), dtype=torch.bool)
        while len(tokens) < limit and not done.all():
            output = self.model(
                input_ids=ids, attention_mask=mask, position_ids=places,
                past_key_values=cache, use_cache=True,
            )  # fmt: skip
            cache, rows = output.past_key_values, output.logits[:, -1].log_softmax(-1)
            ids = torch.multinomial(rows.exp(), 1, generator=self.generator)
            tokens.append(torch.where(done[:, None], -1, ids))
            logprobs.append(rows.gather(-1, ids))
            done |= torch.isin(ids[:, 0], stops)
            mask = torch.cat((mask, torch.ones(len(prompts), 1, dtype=torch.long)), -1)
            places = places[:, -1:] + 1
        drawn = zip(torch.cat(tokens, -1).numpy(), torch.cat(logprobs, -1).numpy(), strict=True)
        return [self._completion(ids[ids >= 0], values[ids >= 0]) for ids, values in drawn]

    def _completion(self, token_ids, logprobs):
        stopped = int(token_ids[-1]) in self.tokenizer.stop_token_ids
        return Completion(
            token_ids=token_ids.astype(np.int32),
            logprobs=logprobs.astype(np.float32),
            weight_versions=np.zeros(len(token_ids), np.int32),
            text=self.tokenizer.decode_action(token_ids),
            finish_reason="stop" if stopped else "length",
        )


async def sample_groups(
    tasks, size, model, tokenizer, sandbox, *, seed: int, rules: EpisodeRules
) -> list[TrajectoryGroup]:
    """`size` episodes of each task, all of them at once."""
    generator = torch.Generator().manual_seed(seed)
    policy = BatchedPolicy(model, tokenizer, generator, running=len(tasks) * size)

    async def episode(task, judge, index):
        identity = EpisodeId(group_id=task.task_id, sample_index=index, worker="here")
        try:
            return await run_episode(
                task, generate=policy, judge=judge, tokenizer=tokenizer, rules=rules,
                identity=identity,
            )  # fmt: skip
        finally:
            policy.running -= 1
            policy.answer_if_all_wait()

    async def group(task):
        judge = TaskJudge(task, sandbox, Limits())
        played = await asyncio.gather(*(episode(task, judge, index) for index in range(size)))
        return TrajectoryGroup(
            group_id=task.task_id, task_id=task.task_id, trajectories=tuple(played)
        )

    return list(await asyncio.gather(*map(group, tasks)))

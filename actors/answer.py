"""An attempt that writes the whole program at once, with or without thinking first.

The other arms of an evaluation beside the editor. An attempt is recorded as a trajectory, so that
it is counted, stored and shown like an episode: a thought is a turn that leaves the program as it
is, the answer is the last turn. It is never trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from redline.actors.episode import EpisodeId, run_attempt
from redline.actors.judging import TaskJudge, feedback_of
from redline.actors.settings import AnswerSettings, SamplingSettings
from redline.actors.tokens import PolicyTokenizer
from redline.dsl.answers import (
    FINAL_BLOCK,
    OPEN_BLOCK,
    THOUGHT,
    program_of_block,
    program_of_text,
    render_request,
)
from redline.dsl.settings import PromptSettings
from redline.dsl.tasks import RepairTask
from redline.replay.records import Completion, Int32, Trajectory, TrajectoryStatus, Turn
from redline.sandbox.records import Verdict


class ReplyFn(Protocol):
    """Samples a reply after a context."""

    async def __call__(
        self,
        prompt: Int32,
        sampling: SamplingSettings,
        request_id: str,
        *,
        stop_token_ids: Sequence[int],
    ) -> Completion:
        """Sample until one of the tokens, which is kept, or the token limit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRules:
    """What all attempts of an arm have in common."""

    max_context: int
    """Tokens of prompt and reply together."""
    answer: AnswerSettings
    sampling: SamplingSettings
    prompts: PromptSettings


async def run_answer(
    task: RepairTask,
    *,
    generate: ReplyFn,
    judge: TaskJudge,
    tokenizer: PolicyTokenizer,
    rules: AnswerRules,
    identity: EpisodeId,
) -> Trajectory:
    """Run one attempt to its end; errors as in `run_episode`."""
    attempt = _Answer(task, generate, judge, tokenizer, rules, identity)
    return await run_attempt(attempt, task, identity)


class _Answer:
    """The growing context of one attempt."""

    def __init__(
        self,
        task: RepairTask,
        generate: ReplyFn,
        judge: TaskJudge,
        tokenizer: PolicyTokenizer,
        rules: AnswerRules,
        identity: EpisodeId,
    ) -> None:
        self.turns: list[Turn] = []
        self.passing = False
        self._task = task
        self._generate = generate
        self._judge = judge
        self._tokenizer = tokenizer
        self._rules = rules
        self._identity = identity
        self._context: Int32 = np.empty(0, dtype=np.int32)

    async def play(self) -> TrajectoryStatus:
        """Think if the arm does, answer, judge the answer; say how it ended."""
        feedback = await self._feedback()
        state = self._prompt(feedback)
        if self._thinks:
            final = self._tokenizer.encode_state(FINAL_BLOCK)
            room = self._room(state) - len(final)
            if room < 1:
                return TrajectoryStatus.TRUNCATED
            thought = await self._think(state, min(room, self._rules.answer.thinking_tokens))
            if thought.finish_reason == "abort":
                return TrajectoryStatus.ABORTED
            answered = self._answer_in(thought)
            if answered is not None:
                return await self._finish(state, thought, answered, cut=False)
            self._record(state, thought, self._task.broken, feedback, None)
            state = final
        elif self._room(state) < 0:
            return TrajectoryStatus.TRUNCATED
        return await self._answer(state)

    @property
    def _thinks(self) -> bool:
        return self._rules.answer.thinking_tokens > 0

    async def _feedback(self) -> str:
        """What the tests say of the broken program, unless the request leaves it out."""
        if self._rules.answer.request:
            return ""
        return feedback_of(await self._judge.verdict(self._task.broken), self._rules.prompts)

    def _prompt(self, feedback: str) -> Int32:
        dialogue = self._tokenizer.request_dialogue(self._rules.prompts)
        request = self._rules.answer.request or render_request(
            self._task, feedback, thinking=self._thinks
        )
        prefill = THOUGHT if self._thinks else OPEN_BLOCK
        return self._tokenizer.encode_first(dialogue, dialogue.request(request, prefill))

    def _room(self, state: Int32) -> int:
        """Tokens that are left beside the state and the longest answer."""
        used = len(self._context) + len(state) + self._rules.answer.answer_tokens
        return self._rules.max_context - used

    async def _think(self, state: Int32, tokens: int) -> Completion:
        """Free text, without the token that ends a message: more is written into this one."""
        ends = self._tokenizer.end_token_ids
        completion = await self._sample(state, tokens, 0, ends)
        if len(completion.token_ids) and int(completion.token_ids[-1]) in ends:
            completion = _without_last(completion)
        self._context = np.concatenate((self._context, completion.token_ids))
        return completion

    def _answer_in(self, thought: Completion) -> str | None:
        """The program of a thought that ended by itself with a closed block of code."""
        if thought.finish_reason != "stop":
            return None
        return program_of_text(self._tokenizer.decode_reply(thought.token_ids))

    async def _answer(self, state: Int32) -> TrajectoryStatus:
        stops = sorted({*self._tokenizer.end_token_ids, *self._tokenizer.fence_token_ids})
        limit = self._rules.answer.answer_tokens
        completion = await self._sample(state, limit, 1, stops)
        if completion.finish_reason == "abort":
            return TrajectoryStatus.ABORTED
        program = program_of_block(self._tokenizer.decode_reply(completion.token_ids))
        return await self._finish(
            state, completion, program, cut=completion.finish_reason == "length"
        )

    async def _finish(
        self, state: Int32, completion: Completion, program: str, *, cut: bool
    ) -> TrajectoryStatus:
        verdict = await self._judge.verdict(program)
        feedback = feedback_of(verdict, self._rules.prompts)
        self._record(state, completion, program, feedback, verdict)
        self.passing = verdict.passed
        if verdict.passed:
            return TrajectoryStatus.SOLVED
        return TrajectoryStatus.TRUNCATED if cut else TrajectoryStatus.EXITED

    async def _sample(
        self, state: Int32, tokens: int, number: int, stops: Sequence[int]
    ) -> Completion:
        self._context = np.concatenate((self._context, state))
        return await self._generate(
            self._context,
            replace(self._rules.sampling, max_command_tokens=tokens, grammar=False),
            f"{self._identity.trajectory_id}/{number}",
            stop_token_ids=stops,
        )

    def _record(
        self,
        state: Int32,
        completion: Completion,
        program: str,
        feedback: str,
        verdict: Verdict | None,
    ) -> None:
        self.turns.append(
            Turn(
                state_token_ids=state,
                action_token_ids=completion.token_ids,
                rollout_logprobs=completion.logprobs,
                weight_versions=completion.weight_versions,
                action_text=self._tokenizer.decode_reply(completion.token_ids),
                command=None,
                error=None,
                program=program,
                feedback=feedback,
                verdict=verdict,
                reward=float(verdict is not None and verdict.passed),
            )
        )


def _without_last(completion: Completion) -> Completion:
    return replace(
        completion,
        token_ids=completion.token_ids[:-1],
        logprobs=completion.logprobs[:-1],
        weight_versions=completion.weight_versions[:-1],
    )

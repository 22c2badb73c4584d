"""One episode: state, command, execution, reward, next state, until EXIT or a limit.

A coroutine over what it is given: it imports neither engine nor Ray and can be run against fakes.
The context only grows. Each state is tokenised on its own and appended, sampled tokens are kept as
they were sampled.
"""

import logging
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from redline.actors.errors import EngineError
from redline.actors.in_flight import LiveEpisode
from redline.actors.judging import TaskJudge, feedback_of
from redline.actors.settings import SamplingSettings
from redline.actors.tokens import PolicyTokenizer
from redline.dsl.closing import closing_of
from redline.dsl.rewards import score_turn
from redline.dsl.settings import PromptSettings, RewardSettings
from redline.dsl.tasks import RepairTask
from redline.dsl.tools import TOOLS, ToolResult
from redline.replay.records import Completion, Int32, Trajectory, TrajectoryStatus, Turn
from redline.sandbox.records import InfrastructureError, Verdict

_log = logging.getLogger(__name__)


class GenerateFn(Protocol):
    """Samples one action after a context."""

    async def __call__(
        self, prompt: Int32, sampling: SamplingSettings, request_id: str
    ) -> Completion:
        """Sample until the first newline token, the end of text or the token limit."""
        ...


class Attempt(Protocol):
    """Something that takes turns at a task."""

    turns: list[Turn]
    passing: bool
    """Whether the program as it is now passes every test."""

    async def play(self) -> TrajectoryStatus:
        """Take turns until the end; say how it ended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRules:
    """What all episodes of a run have in common."""

    max_turns: int
    max_context: int
    """Tokens of states and actions together."""
    sampling: SamplingSettings
    prompts: PromptSettings
    rewards: RewardSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeId:
    """Where an episode belongs."""

    group_id: str
    sample_index: int
    worker: str

    @property
    def trajectory_id(self) -> str:
        """Unique name of the trajectory."""
        return f"{self.group_id}/{self.sample_index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What one action did to the program."""

    program: str
    verdict: Verdict
    """Of the program as it is now, executed in this turn or before."""
    executed: bool
    command: str | None = None
    error: str | None = None
    malformed: bool = False
    is_exit: bool = False


async def run_episode(
    task: RepairTask,
    *,
    generate: GenerateFn,
    judge: TaskJudge,
    tokenizer: PolicyTokenizer,
    rules: EpisodeRules,
    identity: EpisodeId,
    live: LiveEpisode | None = None,
) -> Trajectory:
    """Run one episode to its end, from the turns on that `live` has, and write its turns there.

    An episode that cannot be finished (no verdict after all retries, a request cut off) comes back
    as ABORTED with the turns it had, and is never scored. Raises EngineError when the engine
    itself must be replaced: that concerns every episode.
    """
    live = live or LiveEpisode()
    episode = _Episode(task, generate, judge, tokenizer, rules, identity, live)
    live.start()
    return await run_attempt(episode, task, identity, seconds=live.seconds)


async def run_attempt(
    attempt: Attempt, task: RepairTask, identity: EpisodeId, *, seconds: float = 0.0
) -> Trajectory:
    """Let an attempt play, and make a trajectory of it; errors as in `run_episode`.

    `seconds` were spent on it before.
    """
    began = time.perf_counter()
    try:
        status = await attempt.play()
    except InfrastructureError as error:
        _log.warning("episode %s aborted: %s", identity.trajectory_id, error)
        status = TrajectoryStatus.ABORTED
    except EngineError:
        raise
    except Exception:  # noqa: BLE001 - one bad episode costs only itself; the log has the reason
        _log.exception("episode %s aborted by an unexpected error", identity.trajectory_id)
        status = TrajectoryStatus.ABORTED
    return Trajectory(
        trajectory_id=identity.trajectory_id,
        group_id=identity.group_id,
        sample_index=identity.sample_index,
        task_id=task.task_id,
        initial_program=task.broken,
        turns=tuple(attempt.turns),
        status=status,
        solved=attempt.passing and status is not TrajectoryStatus.ABORTED,
        worker=identity.worker,
        seconds=seconds + time.perf_counter() - began,
    )


class _Episode:
    """The growing context of one episode."""

    def __init__(
        self,
        task: RepairTask,
        generate: GenerateFn,
        judge: TaskJudge,
        tokenizer: PolicyTokenizer,
        rules: EpisodeRules,
        identity: EpisodeId,
        live: LiveEpisode,
    ) -> None:
        self.task = task
        self.turns = live.turns
        self.passing = False
        self._generate = generate
        self._judge = judge
        self._tokenizer = tokenizer
        self._rules = rules
        self._identity = identity
        self._tool = TOOLS[rules.prompts.tool]
        self._live = live
        self._dialogue = tokenizer.dialogue(rules.prompts)
        self._context: Int32 = np.empty(0, dtype=np.int32)
        self._ever_passed = False

    async def play(self) -> TrajectoryStatus:
        """Take turns until the episode ends; say how it ended."""
        verdict = await self._judge.verdict(self.task.broken)
        self.passing = self._ever_passed = verdict.passed
        program = self.task.broken
        feedback = feedback_of(verdict, self._rules.prompts)
        first = self._tool.first_state(self.task, feedback, self._rules.prompts)
        state = self._tokenizer.encode_first(self._dialogue, self._dialogue.first_state(first))
        if self._live.next_state is not None and self._can_go_on(self._live.next_state):
            state = self._live.next_state
            program, verdict, feedback = self._catch_up(verdict)
        else:
            self.turns.clear()
        if not self._fits(state):
            return TrajectoryStatus.TRUNCATED
        for number in range(len(self.turns), self._rules.max_turns):
            self._context = np.concatenate((self._context, state))
            completion = await self._sample(number)
            if completion.finish_reason == "abort":
                return TrajectoryStatus.ABORTED
            self._context = np.concatenate((self._context, completion.token_ids))
            outcome = await self._act(program, verdict, completion)
            program, verdict = outcome.program, outcome.verdict
            feedback = outcome.error or feedback_of(verdict, self._rules.prompts)
            following = self._next_state(completion, program, feedback)
            status = self._ending(number, outcome, following)
            self._record(state, completion, outcome, feedback, status)
            if status is not None:
                return status
            state = self._live.next_state = following
        raise AssertionError("unreachable: the last turn has an ending")

    def _can_go_on(self, state: Int32) -> bool:
        """Whether turns of an earlier attempt at the run leave room for another one."""
        taken = sum(len(t.state_token_ids) + len(t.action_token_ids) for t in self.turns)
        room = taken + len(state) + self._rules.sampling.max_command_tokens
        return 0 < len(self.turns) < self._rules.max_turns and room <= self._rules.max_context

    def _catch_up(self, first: Verdict) -> tuple[str, Verdict, str]:
        """Take the turns that were had as they were; program, verdict and feedback after them.

        `first` is the verdict of the task's program, which holds until one was executed.
        """
        parts = [ids for t in self.turns for ids in (t.state_token_ids, t.action_token_ids)]
        self._context = np.concatenate(parts)
        verdicts = [first, *(t.verdict for t in self.turns if t.verdict is not None)]
        self.passing = verdicts[-1].passed
        self._ever_passed = any(verdict.passed for verdict in verdicts)
        return self.turns[-1].program, verdicts[-1], self.turns[-1].feedback

    async def _sample(self, number: int) -> Completion:
        request_id = f"{self._identity.trajectory_id}/{number}"
        return await self._generate(self._context, self._rules.sampling, request_id)

    async def _act(self, program: str, verdict: Verdict, completion: Completion) -> _Outcome:
        """Let the tool act, and execute the program if that changed it."""
        if completion.finish_reason == "length" and not self._rules.sampling.grammar:
            # The rest of the line is unknown: what is there must not be taken for a command.
            limit = self._rules.sampling.max_command_tokens
            done = ToolResult(
                program=program,
                command=None,
                error=f"error: the command has no end within {limit} tokens",
            )
        else:
            done = self._tool.act(program, completion.text + self._closing(completion))
        changed = done.program != program
        return _Outcome(
            program=done.program,
            verdict=await self._judge.verdict(done.program) if changed else verdict,
            executed=changed,
            command=done.command,
            error=done.error,
            malformed=done.command is None,
            is_exit=done.is_exit,
        )

    def _closing(self, completion: Completion) -> str:
        """What the editor adds to a command that was drawn under the grammar and cut."""
        cut = completion.finish_reason == "length"
        return closing_of(completion.text) if cut and self._rules.sampling.grammar else ""

    def _next_state(self, completion: Completion, program: str, feedback: str) -> Int32:
        text = self._dialogue.next_state(
            self._tool.next_state(program, feedback, self._rules.prompts),
            ends_line=self._tokenizer.ends_line(completion.token_ids),
            ends_reply=self._tokenizer.ends_reply(completion.token_ids),
        )
        return self._tokenizer.encode_state(self._closing(completion) + text)

    def _ending(self, number: int, outcome: _Outcome, following: Int32) -> TrajectoryStatus | None:
        """How the episode ends with this turn, or None when it goes on."""
        if outcome.is_exit:
            passed = outcome.verdict.passed
            return TrajectoryStatus.SOLVED if passed else TrajectoryStatus.EXITED
        if number + 1 == self._rules.max_turns:
            return TrajectoryStatus.TURN_LIMIT
        return None if self._fits(following) else TrajectoryStatus.TRUNCATED

    def _record(
        self,
        state: Int32,
        completion: Completion,
        outcome: _Outcome,
        feedback: str,
        status: TrajectoryStatus | None,
    ) -> None:
        self.passing = outcome.verdict.passed
        newly_solved = self.passing and not self._ever_passed
        self._ever_passed |= self.passing
        reward = score_turn(
            malformed=outcome.malformed,
            impossible=outcome.error is not None and not outcome.malformed,
            newly_solved=newly_solved,
            is_exit=outcome.is_exit,
            passing=self.passing,
            last_turn=status is not None,
            truncated=status is TrajectoryStatus.TRUNCATED,
            settings=self._rules.rewards,
        )
        self.turns.append(
            Turn(
                state_token_ids=state,
                action_token_ids=completion.token_ids,
                rollout_logprobs=completion.logprobs,
                weight_versions=completion.weight_versions,
                action_text=completion.text,
                command=outcome.command,
                error=outcome.error,
                program=outcome.program,
                feedback=feedback,
                verdict=outcome.verdict if outcome.executed else None,
                reward=reward,
            )
        )

    def _fits(self, state: Int32) -> bool:
        """Whether a state and the longest command still have room."""
        needed = len(self._context) + len(state) + self._rules.sampling.max_command_tokens
        return needed <= self._rules.max_context

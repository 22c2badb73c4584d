"""Attempts that write the whole program: prompts, budgets, endings, and what is recorded."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from redline.actors.answer import AnswerRules, run_answer
from redline.actors.episode import EpisodeId
from redline.actors.judging import TaskJudge
from redline.actors.settings import AnswerSettings, SamplingSettings
from redline.dsl.answers import program_of_block, program_of_text
from redline.dsl.settings import PromptSettings
from redline.replay.records import Completion, TrajectoryStatus
from redline.sandbox.records import Limits

from .fakes import BOS, BROKEN, EOS, FIXED, FakeSandbox, task, tokenizer

DIRECT = AnswerRules(
    max_context=2000,
    answer=AnswerSettings(answer_tokens=100),
    sampling=SamplingSettings(temperature=0.5),
    prompts=PromptSettings(),
)
THINKING = replace(DIRECT, answer=AnswerSettings(answer_tokens=100, thinking_tokens=80))
REQUEST = "Return a.\n```python\ndef f(a):\n    return a + 1\n```\nf(1) returned 2, expected 1\n"


class Policy:
    """Gives scripted replies, cut at the limit that it is given."""

    def __init__(self, *replies, finish=None):
        self.replies, self.finish = list(replies), finish
        self.asked = []

    async def __call__(self, prompt, sampling, request_id, *, stop_token_ids):
        await asyncio.sleep(0)
        self.asked.append((prompt.tolist(), sampling, request_id, tuple(stop_token_ids)))
        ids = [*self.replies.pop(0).encode(), EOS]
        cut = len(ids) > sampling.max_command_tokens
        ids = ids[: sampling.max_command_tokens]
        return Completion(
            token_ids=np.array(ids, np.int32),
            logprobs=np.full(len(ids), -0.5, np.float32),
            weight_versions=np.zeros(len(ids), np.int32),
            text="unused",
            finish_reason=self.finish or ("length" if cut else "stop"),
        )


def attempt(policy, rules=DIRECT, sandbox=None):
    made = task()
    return asyncio.run(
        run_answer(
            made,
            generate=policy,
            judge=TaskJudge(made, sandbox or FakeSandbox(good=[FIXED]), Limits()),
            tokenizer=tokenizer(),
            rules=rules,
            identity=EpisodeId(group_id="g", sample_index=2, worker="w"),
        )
    )


def text_of(ids):
    return bytes(i for i in ids if i < 256).decode()


def test_a_direct_answer_goes_on_inside_a_block_of_code():
    policy = Policy(f"{FIXED}\n```\nThat is it.")
    trajectory = attempt(policy)
    ((prompt, sampling, request_id, stops),) = policy.asked
    assert prompt[0] == BOS
    assert text_of(prompt) == (
        f"{REQUEST}Write the whole program so that its tests pass.\n```python\n"
    )
    assert (sampling.temperature, sampling.max_command_tokens) == (0.5, 100)
    assert request_id == "g/2/0" or request_id == "g/2/1"
    assert EOS in stops and 10 not in stops, "a program has more than one line"
    assert trajectory.status is TrajectoryStatus.SOLVED and trajectory.solved
    (turn,) = trajectory.turns
    assert turn.program == FIXED
    assert turn.verdict is not None and turn.verdict.passed
    assert len(turn.action_token_ids) == len(turn.rollout_logprobs) > len(FIXED)


def test_a_request_of_its_own_replaces_the_broken_program():
    policy, sandbox = Policy(f"{FIXED}\n```"), FakeSandbox(good=[FIXED])
    answer = replace(DIRECT.answer, request="Examples.")
    assert attempt(policy, replace(DIRECT, answer=answer), sandbox).solved
    assert text_of(policy.asked[0][0]) == "Examples.\n```python\n"
    assert sandbox.programs == [FIXED], "the broken program is not even executed"


def test_a_wrong_answer_and_one_that_was_cut():
    assert attempt(Policy("nonsense\n```")).status is TrajectoryStatus.EXITED
    cut = attempt(Policy("x = 1\n" * 50))
    assert (cut.status, cut.solved) == (TrajectoryStatus.TRUNCATED, False)
    assert len(cut.turns[0].action_token_ids) == 100


def test_a_thought_is_a_turn_without_a_verdict_and_the_answer_follows():
    policy = Policy("The plus is wrong.", f"{FIXED}\n```")
    trajectory = attempt(policy, THINKING)
    thought, answer = trajectory.turns
    assert thought.verdict is None and thought.program == BROKEN
    assert EOS not in thought.action_token_ids, "the message goes on"
    assert text_of(answer.state_token_ids) == "\n\nThe whole program:\n```python\n"
    assert answer.program == FIXED and trajectory.solved
    first, second = (entry[0] for entry in policy.asked)
    assert text_of(first).endswith("Let's think step by step.\n")
    assert second[: len(first)] == first, "the context only grows"
    assert text_of(second[len(first) :]).startswith("The plus is wrong.\n\nThe whole")
    assert [entry[1].max_command_tokens for entry in policy.asked] == [80, 100]


def test_a_thought_that_ends_with_a_program_is_the_answer():
    policy = Policy(f"Plus.\n```python\n{FIXED}\n```\n")
    trajectory = attempt(policy, THINKING)
    assert len(trajectory.turns) == len(policy.asked) == 1
    assert trajectory.status is TrajectoryStatus.SOLVED


def test_thinking_is_cut_at_its_budget_and_leaves_room_for_the_answer():
    policy = Policy("hm " * 100, f"{FIXED}\n```")
    assert attempt(policy, THINKING).solved
    prompt = len(policy.asked[0][0])
    tight = replace(THINKING, max_context=prompt + 100 + 40 + 34)
    policy = Policy("hm " * 100, f"{FIXED}\n```")
    attempt(policy, tight)
    assert 0 < policy.asked[0][1].max_command_tokens < 80
    assert len(policy.asked[1][0]) + 100 <= tight.max_context


@pytest.mark.parametrize("rules", [DIRECT, THINKING])
def test_what_does_not_fit_or_is_cut_off_costs_only_the_attempt(rules):
    none = attempt(Policy(), replace(rules, max_context=150))
    assert (none.status, none.turns) == (TrajectoryStatus.TRUNCATED, ())
    assert attempt(Policy("x", "y", finish="abort"), rules).status is TrajectoryStatus.ABORTED
    assert attempt(Policy(), rules).status is TrajectoryStatus.ABORTED, "an unexpected error"


def test_the_program_in_a_reply():
    assert program_of_block("a = 1\n\n```\nmore") == "a = 1"
    assert program_of_block("a = '```'\n```") == "a = '```'"
    assert program_of_block("a = 1\n") == "a = 1"
    assert program_of_text("no code") is None
    assert program_of_text("```python\na\n```\nor\n```\nb\n```\n") == "b"
    assert program_of_text("```python\nnever closed") is None

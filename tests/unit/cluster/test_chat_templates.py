"""Chat templates: a policy meets the same tokens in training and in an episode."""

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest

from redline.actors.episode import EpisodeId, EpisodeRules, run_episode
from redline.actors.judging import TaskJudge
from redline.actors.settings import SamplingSettings
from redline.actors.tokens import PolicyTokenizer
from redline.dsl.commands import Exit, ReplaceLine
from redline.dsl.demonstrations import Demonstration, render_demonstrations
from redline.dsl.dialogue import ChatTemplateError, make_dialogue
from redline.dsl.settings import PromptSettings, RewardSettings
from redline.dsl.tasks import RepairTask
from redline.learner.sft import encode_demonstration
from redline.replay.records import Completion
from redline.sandbox.records import Limits, TestResult, TestStatus, Verdict

sys.path.insert(0, str(Path(__file__).parents[2]))
from chat_policies import llama_3_tokenizer, plain_tokenizer, qwen_tokenizer

TOKENIZERS = {"llama": llama_3_tokenizer, "qwen": qwen_tokenizer, "plain": plain_tokenizer}
TASK = RepairTask(
    task_id="t",
    prompt="Add a and b.",
    broken="def f(a, b):\n    retrn a - b",
    tests=("assert f(1, 2) == 3",),
)
FIXED = "def f(a, b):\n    return a + b"
STEPS = (
    ReplaceLine(2, "    return a - b"),
    ReplaceLine(2, "    return a + b"),
    Exit(),
)


class Sandbox:
    """Passes the fixed program."""

    async def run(self, request):
        passed = request.program == FIXED
        status = TestStatus.PASS if passed else TestStatus.FAIL
        told = "" if passed else f"failed: {request.program[-6:]}"
        return Verdict(tests=(TestResult(status=status, detail=told),), tier="none")

    async def run_many(self, requests):
        return [await self.run(request) for request in requests]


def play(tokenizer, endings, prompts=None):
    """An episode whose policy gives the demonstration's commands, each with its ending."""
    prompts = prompts or PromptSettings()
    policy = PolicyTokenizer(tokenizer)
    actions = [f"REPL 2 >>>{step.content}" for step in STEPS[:-1]] + ["EXIT"]

    async def generate(prompt, sampling, request_id):
        turn = int(request_id.rpartition("/")[2])
        text = actions[turn] + endings[turn]
        ids = np.asarray(tokenizer.encode(text, add_special_tokens=False), dtype=np.int32)
        return Completion(
            token_ids=ids,
            logprobs=np.zeros(len(ids), np.float32),
            weight_versions=np.zeros(len(ids), np.int32),
            text=policy.decode_action(ids),
            finish_reason="stop",
        )

    rules = EpisodeRules(
        max_turns=5,
        max_context=4000,
        sampling=SamplingSettings(),
        prompts=prompts,
        rewards=RewardSettings(),
    )
    trajectory = asyncio.run(
        run_episode(
            TASK,
            generate=generate,
            judge=TaskJudge(TASK, Sandbox(), Limits()),
            tokenizer=policy,
            rules=rules,
            identity=EpisodeId(group_id="g", sample_index=0, worker="w"),
        )
    )
    parts = [x for t in trajectory.turns for x in (t.state_token_ids, t.action_token_ids)]
    assert len(trajectory.turns) == 3
    return np.concatenate(parts)


def demonstration(tokenizer, prompts=None):
    """The same repair as supervised training encodes it."""
    made = Demonstration(task=TASK, commands=STEPS)

    def feedback(asked):
        return ["" if text == FIXED else f"failed: {text[-6:]}" for _, text in asked]

    (turns,) = render_demonstrations([made], feedback, prompts or PromptSettings())
    return encode_demonstration(tokenizer, turns, prompts=prompts)


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize(
    "prompts", [PromptSettings(), PromptSettings(chat="never"), PromptSettings(chat_instruction="")]
)
def test_training_and_sampling_agree_token_for_token(kind, prompts):
    tokenizer = TOKENIZERS[kind]()
    sampled = play(tokenizer, ["\n", "\n", "\n"], prompts)
    assert sampled.tolist() == demonstration(tokenizer, prompts).token_ids.tolist()


def test_llama_3_reads_messages_of_its_template():
    tokenizer = llama_3_tokenizer()
    text = tokenizer.decode(
        demonstration(tokenizer, PromptSettings(chat_instruction="Repair.")).token_ids
    )
    system = (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>"
    )
    user = "<|start_header_id|>user<|end_header_id|>\n\n"
    reply = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n### "
    assert text == (
        f"{system}{user}Repair.\n\nAdd a and b.\n1|def f(a, b):\n2|    retrn a - b\n***\n"
        f"failed:  a - b{reply}REPL 2 >>>    return a - b\n<|eot_id|>"
        f"{user}1|def f(a, b):\n2|    return a - b\n***\nfailed:  a - b{reply}"
        f"REPL 2 >>>    return a + b\n<|eot_id|>"
        f"{user}1|def f(a, b):\n2|    return a + b\n***{reply}EXIT\n"
    )
    assert text.count("<|begin_of_text|>") == 1, "the template's own, and no second one"


def test_qwen_reads_messages_of_its_template_and_is_not_asked_to_think():
    tokenizer = qwen_tokenizer()
    text = tokenizer.decode(demonstration(tokenizer, PromptSettings(chat_instruction="")).token_ids)
    reply = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n### "
    assert text.startswith(
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nAdd a and b."
    )
    assert text.count(reply) == 3
    assert "return a - b\n<|im_end|>\n<|im_start|>user\n1|def" in text


@pytest.mark.parametrize(("kind", "end"), [("llama", "<|eot_id|>"), ("qwen", "<|im_end|>")])
def test_a_reply_that_ends_itself_is_not_ended_twice(kind, end):
    tokenizer = TOKENIZERS[kind]()
    ended = tokenizer.decode(play(tokenizer, [end, end, end]))
    plain = tokenizer.decode(play(tokenizer, ["\n", "\n", "\n"]))
    assert ended.removesuffix(end) == plain.replace(f" b\n{end}", f" b{end}").removesuffix("\n")


def test_the_end_of_a_message_stops_a_command_and_a_reply():
    tokenizer = llama_3_tokenizer()
    tokenizer.eos_token = "<|end_of_text|>"
    policy = PolicyTokenizer(tokenizer)
    ends = {tokenizer.convert_tokens_to_ids(t) for t in ("<|eot_id|>", "<|end_of_text|>")}
    assert set(policy.end_token_ids) == ends
    assert set(policy.stop_token_ids) == ends | policy.newline_token_ids


def test_a_template_that_loses_a_message_is_refused_with_the_way_out():
    tokenizer = llama_3_tokenizer()
    tokenizer.chat_template = "{{ messages[-1]['content'] }}"
    with pytest.raises(ChatTemplateError, match=r"prompt\.chat=never"):
        make_dialogue(tokenizer, PromptSettings())
    tokenizer.chat_template = "{{ raise_exception('roles must be just so') }}"
    with pytest.raises(ChatTemplateError, match="roles must be just so"):
        make_dialogue(tokenizer, PromptSettings())
    assert not make_dialogue(tokenizer, PromptSettings(chat="never")).is_chat


def test_the_date_of_today_is_not_in_the_prompt():
    """Llama 3 templates write it where none is given, and an episode would not be repeatable."""
    tokenizer = llama_3_tokenizer()
    assert "26 Jul 2024" in make_dialogue(tokenizer, PromptSettings()).opening

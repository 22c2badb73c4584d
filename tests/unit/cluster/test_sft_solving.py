"""The solve rate while tuning: real episodes with a transformers model in place of an engine."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from redline.actors.settings import SamplingSettings
from redline.actors.tokens import PolicyTokenizer
from redline.cluster.load import load_sft_config
from redline.cluster.sft_solving import GreedyPolicy, SolveRate
from redline.dsl.tasks import RepairTask

sys.path.insert(0, str(Path(__file__).parents[2]))
from chat_policies import plain_tokenizer

TASK = RepairTask(
    task_id="t",
    prompt="Return a.",
    broken="def f(a):\n    return a + 1",
    tests=("assert f(1) == 1", "assert f(2) == 2"),
)


class Spelling:
    """Spells one command after the other; a new one begins with each call without a cache."""

    device = torch.device("cpu")

    def __init__(self, tokenizer, commands):
        self.tokenizer, self.commands = tokenizer, list(commands)
        self.training = True

    def eval(self):
        self.training = False

    def train(self):
        self.training = True

    def __call__(self, *, input_ids, past_key_values, use_cache):
        assert not self.training and use_cache
        if past_key_values is None:
            text = self.commands.pop(0) + "\n"
            past_key_values = self.tokenizer.encode(text, add_special_tokens=False)
        logits = torch.zeros(1, input_ids.shape[1], len(self.tokenizer))
        logits[0, -1, past_key_values[0]] = 1.0
        return SimpleNamespace(logits=logits, past_key_values=past_key_values[1:])


def test_the_share_of_tasks_that_the_policy_solves():
    tokenizer = plain_tokenizer()
    config = load_sft_config("demo_sft")
    tasks = [TASK, TASK]
    policy = Spelling(tokenizer, ["REPL 2 >>>    return a", "EXIT", "EXIT"])
    assert SolveRate(tasks, PolicyTokenizer(tokenizer), config)(policy) == 0.5
    assert policy.training, "training goes on"


def test_greedy_is_the_likeliest_token_of_the_whole_context():
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = plain_tokenizer()
    torch.manual_seed(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=2, num_key_value_heads=1, initializer_range=0.5,
        )
    ).eval()  # fmt: skip
    prompt = np.arange(5, 25, dtype=np.int32)
    sampling = SamplingSettings(max_command_tokens=12)
    policy = GreedyPolicy(model, PolicyTokenizer(tokenizer))
    found = asyncio.run(policy(prompt, sampling, "r")).token_ids
    context = prompt.tolist()
    for token in found:
        with torch.no_grad():
            logits = model(torch.tensor([context])).logits[0, -1]
        assert int(logits.argmax()) == token
        context.append(int(token))
    assert 0 < len(found) <= 12

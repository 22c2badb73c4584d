"""Commands drawn under the grammar: none is malformed, and the learner means the same masks."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from redline.actors.engine import PolicyEngine
from redline.actors.settings import EngineSettings, SamplingSettings
from redline.dsl.closing import closing_of
from redline.dsl.commands import MalformedCommand
from redline.dsl.parser import parse
from redline.learner.batches.packing import pad_batch
from redline.learner.grammar_mask import GrammarMask
from redline.learner.model import load_tokenizer
from redline.learner.scorer import Scorer
from redline.replay.records import Completion

from .policies import change, load, make_policy, weight_update

pytest.importorskip("xgrammar")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SETTINGS = EngineSettings(
    dtype="float32", max_model_len=128, max_num_seqs=256, kv_cache_gib=0.25, enforce_eager=True
)
FREE = SamplingSettings(max_command_tokens=16, grammar=True, seed=1)
PROBE = [0, *range(40, 70)]


@dataclass(frozen=True, kw_only=True)
class Served:
    """A policy folder, an engine that serves it under the grammar, and its loop."""

    folder: Path
    engine: PolicyEngine
    run: Callable[[Awaitable], object]


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    """Its tokenizer has tokens such as `x` and newline in one."""
    folder = make_policy(tmp_path_factory.mktemp("policy"), tied=False, joined=True)
    with asyncio.Runner() as runner:
        engine = runner.run(PolicyEngine.start(str(folder), SETTINGS, name="g", grammar=True))
        yield Served(folder=folder, engine=engine, run=runner.run)
        engine.shutdown()


CONTEXTS = [np.random.default_rng(i).integers(2, 300, size=16).astype(np.int32) for i in range(25)]


async def sample(engine: PolicyEngine, count: int, sampling: SamplingSettings, name: str):
    """`count` actions after the contexts in turn, with their contexts."""
    contexts = [CONTEXTS[i % len(CONTEXTS)] for i in range(count)]
    found = await asyncio.gather(
        *(engine.generate(c, sampling, f"{name}-{i}") for i, c in enumerate(contexts))
    )
    return list(zip(contexts, found, strict=True))


def largest_difference(model, folder: Path, drawn, sampling: SamplingSettings) -> float:
    """Between the sampler's log-probabilities and those of the learner's scorer."""
    grammar = GrammarMask(load_tokenizer(str(folder)), model.config.vocab_size)
    scorer = Scorer(model, temperature=sampling.temperature, top_p=sampling.top_p)
    worst = 0.0
    for part in range(0, len(drawn), 500):
        chosen = drawn[part : part + 500]
        ids = [np.concatenate((context, found.token_ids)) for context, found in chosen]
        marks = [np.arange(len(i)) >= len(c) for i, (c, _) in zip(ids, chosen, strict=True)]
        batch = pad_batch(ids, marks)
        allowed = grammar.of_batch(batch)
        with torch.no_grad():
            scores = scorer(batch, allowed=allowed)
        reported = np.concatenate([found.logprobs for _, found in chosen])
        worst = max(worst, float(np.abs(scores.logprobs.numpy() - reported).max()))
    return worst


def how_it_ended(engine: PolicyEngine, found: Completion) -> str:
    """Check one action; say what its last token was."""
    closing = closing_of(found.text)
    assert not isinstance(parse(found.text + closing), MalformedCommand)
    last = int(found.token_ids[-1])
    assert not set(found.token_ids[:-1].tolist()) & engine.tokenizer.newline_token_ids
    if found.finish_reason == "length":
        assert len(found.token_ids) == FREE.max_command_tokens
        return "cut"
    assert closing == "", found.text
    if last not in engine.tokenizer.newline_token_ids:
        assert last == engine.tokenizer.eos_token_id
        return "end of text"
    return "newline" if last in engine.tokenizer.command_stop_ids else "joined newline"


def test_no_command_of_ten_thousand_is_malformed_and_the_learner_agrees(served):
    drawn = served.run(sample(served.engine, 10_000, FREE, "free"))
    ends = {how_it_ended(served.engine, found) for _, found in drawn}
    assert ends == {"cut", "end of text", "newline", "joined newline"}
    assert largest_difference(load(served.folder), served.folder, drawn, FREE) <= 1e-3


def test_grammar_comes_before_temperature_and_top_p(served):
    sampling = replace(FREE, temperature=0.7, top_p=0.8)
    drawn = served.run(sample(served.engine, 256, sampling, "cold"))
    assert largest_difference(load(served.folder), served.folder, drawn, sampling) <= 1e-3


def test_new_weights_are_proven_and_sampled_under_the_grammar(served):
    model = load(served.folder)
    change(model, 1)

    async def body():
        receipt = await served.engine.update_weights(*weight_update(model, 1, PROBE))
        return receipt, await sample(served.engine, 128, FREE, "new")

    receipt, drawn = served.run(body())
    assert receipt.max_abs_dlogp <= 1e-3
    assert largest_difference(model, served.folder, drawn, FREE) <= 1e-3


def test_an_engine_takes_commands_without_grammar_too(served):
    free = served.run(sample(served.engine, 8, replace(FREE, grammar=False), "without"))
    assert any(isinstance(parse(found.text), MalformedCommand) for _, found in free)

"""The masks of a grammar, rebuilt from tokens, and what they make of log-probabilities."""

import math

import numpy as np
import pytest
import torch

from redline.learner.batches.packing import pad_batch
from redline.learner.grammar_mask import GrammarMask, NotOfGrammar, unpack_mask
from redline.learner.model import load_policy, load_tokenizer
from redline.learner.sampled_distribution import sampled_logits
from redline.learner.scorer import Scorer

pytest.importorskip("xgrammar")


@pytest.fixture(scope="module")
def tokenizer(tiny_policy):
    return load_tokenizer(tiny_policy)


@pytest.fixture(scope="module")
def grammar(tokenizer):
    return GrammarMask(tokenizer, len(tokenizer))


def encode(tokenizer, text):
    return np.array(tokenizer.encode(text, add_special_tokens=False))


def starts(*lengths):
    return np.concatenate([np.zeros(0, bool), *(np.arange(n) == 0 for n in lengths)])


def test_the_mask_holds_what_may_follow(tokenizer, grammar):
    ids = encode(tokenizer, "DELL 1\n")
    bits = unpack_mask(grammar.allowed(ids, starts(len(ids))), len(tokenizer))
    texts = [{tokenizer.decode([i]) for i in row.nonzero()[:, 0].tolist()} for row in bits]
    assert {"DELL ", "REPL ", "EXIT", "D"} <= texts[0]
    assert texts[-1] == {*"0123456789", "\n", tokenizer.eos_token}
    assert bits[range(len(ids)), ids].all()


def test_actions_are_matched_by_themselves_and_ones_that_were_cut_too(tokenizer, grammar):
    first, second = encode(tokenizer, "REPL 2 >>>x"), encode(tokenizer, "EXIT\n")
    both = grammar.allowed(np.concatenate((first, second)), starts(len(first), len(second)))
    alone = [grammar.allowed(a, starts(len(a))) for a in (first, second)]
    assert torch.equal(both, torch.cat(alone))
    assert grammar.allowed(first[:0], starts()).shape == (0, both.shape[1])


@pytest.mark.parametrize("text", ["print(1)\n", "DELL x", "EXIT\n\n", "EXIT\nE"])
def test_an_action_that_was_not_drawn_under_the_grammar_is_refused(tokenizer, grammar, text):
    ids = encode(tokenizer, text)
    with pytest.raises(NotOfGrammar, match=r"rollout.sampling.grammar"):
        grammar.allowed(ids, starts(len(ids)))


def test_probabilities_are_renormalised_before_temperature_and_nucleus():
    logits = torch.tensor([[9.0, 2.0, 1.0, -1.0]])
    allowed = torch.tensor([[0b1110]], dtype=torch.int32)
    got = sampled_logits(logits, torch.tensor([1]), 0.5, 1.0, allowed).log_softmax(-1)
    assert float(got[0, 1]) == pytest.approx(4 - math.log(math.exp(4) + math.exp(2) + math.exp(-2)))
    assert float(got[0, 0].exp()) == 0
    inside = sampled_logits(logits, torch.tensor([1]), 0.5, 0.9, allowed).log_softmax(-1)
    assert float(inside[0, 1]) == pytest.approx(-math.log(1 + math.exp(-2)))


def test_the_last_bits_of_a_word_count(grammar):
    words = torch.tensor([[-(2**31), 1]], dtype=torch.int32)
    assert unpack_mask(words, 40).nonzero()[:, 1].tolist() == [31, 32]


def test_a_scorer_under_the_grammar_has_finite_gradients(tiny_policy, tokenizer, grammar):
    policy = load_policy(tiny_policy)
    state, action = encode(tokenizer, "1|pass\n### "), encode(tokenizer, "DELL 1\n")
    ids = np.concatenate((state, action, state, action))
    marks = np.concatenate((0 * state, action >= 0, 0 * state, action >= 0)).astype(bool)
    batch = pad_batch([ids, ids], [marks, marks])
    allowed = grammar.of_batch(batch)
    assert torch.equal(allowed, grammar.allowed(action, starts(len(action))).repeat(4, 1))
    scorer = Scorer(policy, entropy_gradient=True)
    scores = scorer(batch, True, allowed=allowed)
    free = scorer(batch)
    assert (scores.logprobs > free.logprobs).all()
    (scores.logprobs.sum() + scores.entropy.sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in policy.parameters() if p.grad is not None)

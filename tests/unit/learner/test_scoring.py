"""Log-probabilities of wanted tokens: padding, attention kernel, temperature, probe."""

import numpy as np
import pytest
import torch

from redline.learner.batches.attention import NAME, use_packed_attention
from redline.learner.batches.packing import pad_batch, plan_micro_batches
from redline.learner.model import load_policy
from redline.learner.scorer import Scorer

LENGTHS = (5, 17, 9, 30)


@pytest.fixture
def sequences():
    rng = np.random.default_rng(0)
    ids = [rng.integers(3, 300, n).astype(np.int32) for n in LENGTHS]
    wanted = [rng.random(n) < 0.6 for n in LENGTHS]
    for marks in wanted:
        marks[0] = False
    return ids, wanted


@torch.no_grad()
def naive_logprobs(policy, ids, wanted, temperature=1.0):
    found = []
    for tokens, marks in zip(ids, wanted, strict=True):
        logits = policy(input_ids=torch.from_numpy(tokens).long()[None]).logits[0].double()
        for place in np.flatnonzero(marks):
            row = torch.log_softmax(logits[place - 1] / temperature, -1)
            found.append(float(row[tokens[place]]))
    return np.array(found)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_padded_batch_scores_like_single_sequences(tiny_policy, sequences, temperature):
    policy = load_policy(tiny_policy)
    batch = pad_batch(*sequences)
    with torch.no_grad():
        scores = Scorer(policy, temperature=temperature)(batch, True)
    expected = naive_logprobs(policy, *sequences, temperature)
    np.testing.assert_allclose(scores.logprobs.numpy(), expected, atol=1e-5)
    assert (scores.entropy > 0).all()


def test_gradients_do_not_depend_on_the_micro_batches(tiny_policy, sequences):
    ids, wanted = sequences
    gradients = []
    for budget in (30, 60, 1000):
        policy = load_policy(tiny_policy)
        scorer = Scorer(policy)
        total = sum(int(marks.sum()) for marks in wanted)
        for part in plan_micro_batches(LENGTHS, budget):
            batch = pad_batch([ids[i] for i in part], [wanted[i] for i in part])
            logprobs = scorer(batch).logprobs
            (-logprobs.sum() / total).backward()
        gradients.append(policy.lm_head.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[2], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(gradients[1], gradients[2], atol=1e-6, rtol=1e-4)


def test_short_attention_agrees_with_the_fused_kernel(tiny_policy, sequences):
    batch = pad_batch(*sequences)
    results = []
    for short in (False, True):
        policy = load_policy(tiny_policy)
        if short:
            use_packed_attention(policy)
            assert policy.config._attn_implementation == NAME
        scorer = Scorer(policy, autocast=True)
        logprobs = scorer(batch).logprobs
        logprobs.mean().backward()
        results.append((logprobs.detach(), policy.model.layers[0].self_attn.q_proj.weight.grad))
    exact = naive_logprobs(load_policy(tiny_policy), *sequences)
    torch.testing.assert_close(results[0][0], results[1][0], atol=0.02, rtol=0)
    np.testing.assert_allclose(results[1][0].numpy(), exact, atol=0.03)
    difference = (results[0][1] - results[1][1]).norm() / results[0][1].norm()
    assert float(difference) < 0.05


def test_short_attention_serves_grouped_heads():
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    policy = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    ).bfloat16()
    ids = torch.arange(20)[None]
    expected = policy(input_ids=ids).logits
    use_packed_attention(policy)
    torch.testing.assert_close(policy(input_ids=ids).logits, expected, atol=0.02, rtol=0.05)

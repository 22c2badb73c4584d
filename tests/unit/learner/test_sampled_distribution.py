"""Temperature and top-p: the learner's log-probabilities are of what was drawn."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from redline.learner.batches.packing import pad_batch
from redline.learner.model import load_policy
from redline.learner.sampled_distribution import nucleus, sampled_logits
from redline.learner.scorer import Scorer


def naive_logprob(logits, target, temperature, top_p):
    """Keep the most likely tokens until they have `top_p` together, then renormalise."""
    weights = [math.exp(z / temperature) for z in logits]
    chances = [w / sum(weights) for w in weights]
    kept, mass = {target}, 0.0
    for token in sorted(range(len(chances)), key=lambda i: -chances[i]):
        if mass >= top_p:
            break
        kept.add(token)
        mass += chances[token]
    return math.log(chances[target] / sum(chances[i] for i in kept))


@settings(max_examples=100, deadline=None)
@given(
    logits=st.lists(
        st.integers(-60, 60).map(lambda n: n / 10), min_size=2, max_size=8, unique=True
    ),
    temperature=st.sampled_from([0.5, 1.0, 1.7]),
    top_p=st.sampled_from([0.05, 0.5, 0.9, 0.999, 1.0]),
    data=st.data(),
)
def test_logprobs_match_the_loop(logits, temperature, top_p, data):
    target = data.draw(st.integers(0, len(logits) - 1))
    rows = torch.tensor([logits], dtype=torch.float64)
    got = sampled_logits(rows, torch.tensor([target]), temperature, top_p).log_softmax(-1)
    expected = naive_logprob(logits, target, temperature, top_p)
    assert float(got[0, target]) == pytest.approx(expected, abs=1e-9)
    assert float(got.exp().sum()) == pytest.approx(1)


def test_the_nucleus_is_the_smallest_set_and_never_empty():
    logits = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3]]).log()
    assert nucleus(logits, 0.6).tolist() == [[True, True, False], [False, True, True]]
    assert nucleus(logits, 1e-6).tolist() == [[True, False, False], [False, True, False]]


def test_a_token_outside_the_nucleus_keeps_a_finite_logprob_and_gradient():
    logits = torch.tensor([[5.0, 0.0, -5.0]], requires_grad=True)
    got = sampled_logits(logits, torch.tensor([2]), 1.0, 0.5).log_softmax(-1)
    (got.exp() * got).sum().backward()
    assert float(got[0, 2].detach()) == pytest.approx(-10, abs=1e-3)
    assert torch.isfinite(logits.grad).all()
    assert float(logits.grad[0, 1]) == 0


def test_a_scorer_is_of_the_distribution_that_was_sampled(tiny_policy):
    """Tokens drawn with temperature and top-p by hand score as they were drawn."""
    policy = load_policy(tiny_policy)
    generator = torch.Generator().manual_seed(0)
    ids, drawn = [3, 4, 5], []
    for _ in range(12):
        with torch.no_grad():
            chances = (policy(torch.tensor([ids])).logits[0, -1].double() / 0.7).softmax(-1)
        order = chances.argsort(descending=True)
        inside = order[: int((chances[order].cumsum(0) < 0.8).sum()) + 1]
        kept = chances[inside] / chances[inside].sum()
        place = int(torch.multinomial(kept, 1, generator=generator))
        ids.append(int(inside[place]))
        drawn.append(math.log(kept[place]))
    marks = np.arange(len(ids)) >= 3
    batch = pad_batch([np.array(ids, np.int32)], [marks])
    with torch.no_grad():
        scorer = Scorer(policy, temperature=0.7, top_p=0.8)
        scores = scorer(batch, True)
        whole = scorer(batch, whole=True)
    np.testing.assert_allclose(scores.logprobs.numpy(), drawn, atol=1e-4)
    assert torch.isfinite(scores.entropy).all()
    assert (whole.logprobs < scores.logprobs).all()

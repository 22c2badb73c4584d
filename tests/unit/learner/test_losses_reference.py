"""The whole objective and the value loss against loops over single numbers, gradients included.

The loops and their derivatives are written from the formulas, in Python floats.
"""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from redline.learner.losses import policy_loss, value_loss
from redline.learner.losses.kl import kl_estimate
from redline.learner.settings import LossSettings

FAR = 20.0
"""Log-ratios are cut here."""
LOGPROB = st.one_of(st.floats(-8, -0.01), st.sampled_from([-1e-6, -1.0, -40.0, -200.0]))
TOKEN = st.tuples(
    LOGPROB,  # new
    LOGPROB,  # old
    LOGPROB,  # rollout
    LOGPROB,  # reference
    st.one_of(st.floats(-3, 3), st.just(0.0)),  # advantage
    st.floats(0.01, 2),  # weight
    st.integers(0, 2),  # sequence
)
TOKENS = st.lists(TOKEN, min_size=1, max_size=6)
SETTINGS = st.builds(
    LossSettings,
    kind=st.sampled_from(["clipped", "gspo", "cispo"]),
    clip_low=st.sampled_from([0.2, 0.0003, 1.0]),
    clip_high=st.sampled_from([0.28, 0.0004, 4.0]),
    dual_clip=st.sampled_from([0.0, 3.0]),
    kl_coef=st.sampled_from([0.0, 0.1]),
    kl_estimator=st.sampled_from(["k1", "k2", "k3"]),
    kl_in=st.sampled_from(["loss", "reward"]),
    tis_cap=st.sampled_from([0.0, 2.0]),
    mismatch_low=st.sampled_from([0.0, 0.5]),
    mismatch_high=st.sampled_from([0.0, 2.0]),
    mismatch_level=st.sampled_from(["token", "sequence"]),
    old_policy=st.sampled_from(["learner", "sampler"]),
)


def mean_of(tokens, i, of):
    own = [of(t) for t in tokens if t[6] == tokens[i][6]]
    return math.fsum(own) / len(own)


def naive(tokens, s, first_update):
    """Total loss and its derivative by each token's log-probability."""
    total, slopes = 0.0, []
    for i, (new, _, rollout, reference, advantage, weight, _) in enumerate(tokens):
        learner_of = (lambda t: t[0]) if first_update else (lambda t: t[1])
        base_of = (lambda t: t[2]) if s.old_policy == "sampler" else learner_of
        log_ratio = new - base_of(tokens[i])
        if s.kind == "gspo":
            log_ratio = mean_of(tokens, i, lambda t, base=base_of: t[0] - base(t))
        flat = log_ratio > FAR  # cut: a number without gradient
        ratio = math.exp(min(log_ratio, FAR))
        bounded = min(max(ratio, 1 - s.clip_low), 1 + s.clip_high)
        if s.kind == "cispo":
            held = min(max(ratio, max(1 - s.clip_low, 0)), 1 + s.clip_high)
            value, slope = -held * advantage * new, -held * advantage
        else:
            surrogate, slope = ratio * advantage, -ratio * advantage
            if flat and s.kind == "clipped":
                slope = 0.0
            if bounded * advantage < surrogate:
                surrogate, slope = bounded * advantage, 0.0
            if s.dual_clip and advantage < 0 and surrogate < s.dual_clip * advantage:
                surrogate, slope = s.dual_clip * advantage, 0.0
            value = -surrogate
        gap = learner_of(tokens[i]) - rollout
        if s.mismatch_level == "sequence":
            gap = mean_of(tokens, i, lambda t, learner=learner_of: learner(t) - t[2])
        gap = math.exp(min(gap, FAR))
        outside = (s.mismatch_low and gap < s.mismatch_low) or (
            s.mismatch_high and gap > s.mismatch_high
        )
        correction = 0.0 if outside else min(gap, s.tis_cap) if s.tis_cap else 1.0
        total += weight * correction * value
        slope = weight * correction * slope
        if s.kl_coef and s.kl_in == "loss":
            x = reference - new
            cut = min(x, FAR)
            kl, kl_slope = {
                "k1": (-x, 1.0),
                "k2": (x * x / 2, -x),
                "k3": (math.exp(cut) - 1 - cut, 0.0 if x > FAR else 1 - math.exp(cut)),
            }[s.kl_estimator]
            total += weight * s.kl_coef * kl
            slope += weight * s.kl_coef * kl_slope
        slopes.append(slope)
    return total, slopes


def edges(tokens, s, first_update):
    """Whether a number lies where a bound changes its mind, so that rounding decides."""
    found = []
    for i, t in enumerate(tokens):
        learner = t[0] if first_update else t[1]
        base = t[2] if s.old_policy == "sampler" else learner
        gaps = [t[0] - base, learner - t[2], t[3] - t[0]]
        gaps.append(mean_of(tokens, i, lambda u, f=first_update: (u[0] if f else u[1]) - u[2]))
        gaps.append(
            mean_of(
                tokens,
                i,
                lambda u, f=first_update, o=s.old_policy: (
                    u[0] - (u[2] if o == "sampler" else (u[0] if f else u[1]))
                ),
            )
        )
        bounds = [0.5, 2.0, 3.0, 1 - s.clip_low, 1 + s.clip_high]
        found += [abs(g - math.log(b)) < 1e-9 for g in gaps for b in bounds if b > 0]
        found += [abs(g - FAR) < 1e-9 for g in gaps]
    return any(found)


@settings(max_examples=200, deadline=None)
@given(tokens=TOKENS, s=SETTINGS, first_update=st.booleans())
def test_loss_and_gradient_match_the_loop(tokens, s, first_update):
    assume(not edges(tokens, s, first_update))
    columns = [torch.tensor(c, dtype=torch.float64) for c in zip(*tokens, strict=True)]
    new, old, rollout, reference, advantages, weights, sequence = columns
    new.requires_grad_(True)
    loss = policy_loss(
        logprobs=new,
        old_logprobs=None if first_update else old,
        rollout_logprobs=rollout,
        reference_logprobs=reference,
        advantages=advantages,
        entropy=torch.zeros_like(old),
        weights=weights,
        sequence=sequence.long(),
        settings=s,
    )
    loss.total.backward()
    total, slopes = naive(tokens, s, first_update)
    assert float(loss.total.detach()) == pytest.approx(total, rel=1e-9, abs=1e-9)
    assert new.grad.tolist() == pytest.approx(slopes, rel=1e-9, abs=1e-9)
    assert torch.isfinite(new.grad).all()


def test_gspo_is_the_gradient_of_the_sequences_own_ratio():
    """With one advantage a sequence and sequences averaged: A s_i, differentiated as a whole."""
    torch.manual_seed(0)
    new = (torch.randn(5, dtype=torch.float64) * 0.1 - 1).requires_grad_(True)
    old = new.detach() + torch.randn(5, dtype=torch.float64) * 0.1
    sequence = torch.tensor([0, 0, 0, 1, 1])
    advantages = torch.tensor([1.5, 1.5, 1.5, -0.5, -0.5], dtype=torch.float64)
    weights = torch.tensor([1 / 6] * 3 + [1 / 4] * 2, dtype=torch.float64)
    whole = [((new - old)[sequence == i].mean().exp() * a) for i, a in ((0, 1.5), (1, -0.5))]
    (expected,) = torch.autograd.grad(-sum(whole) / 2, new)
    loss = policy_loss(
        logprobs=new,
        old_logprobs=old,
        rollout_logprobs=old,
        reference_logprobs=None,
        advantages=advantages,
        entropy=old,
        weights=weights,
        sequence=sequence,
        settings=LossSettings(kind="gspo", clip_low=10, clip_high=10),
    )
    (found,) = torch.autograd.grad(loss.total, new)
    torch.testing.assert_close(found, expected)


def test_masked_tokens_are_counted_and_teach_nothing():
    """Ratios 1, just inside and just outside of both bounds, and one beyond all measure."""
    ratios = torch.tensor([1.0, 0.51, 0.49, 4.9, 5.1, 1e30])
    new = torch.full((6,), -1.0, requires_grad=True)
    loss = policy_loss(
        logprobs=new,
        old_logprobs=None,
        rollout_logprobs=-1.0 - ratios.log(),
        reference_logprobs=None,
        advantages=torch.ones(6),
        entropy=torch.zeros(6),
        weights=torch.ones(6),
        sequence=torch.zeros(6, dtype=torch.int64),
        settings=LossSettings(mismatch_low=0.5, mismatch_high=5.0),
    )
    loss.total.backward()
    assert (new.grad != 0).tolist() == [True, True, False, True, False, False]
    assert int(loss.masked) == 3


@settings(max_examples=60, deadline=None)
@given(
    states=st.lists(st.tuples(*[st.floats(-5, 5)] * 3, st.floats(0, 2)), min_size=1, max_size=6),
    clip=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_value_loss_and_gradient_match_the_loop(states, clip):
    expected, slopes, counted = 0.0, [], 0
    for value, old, target, weight in states:
        free = (value - target) ** 2
        near = old + min(max(value - old, -clip), clip)
        held = (near - target) ** 2
        assume(abs(free - held) > 1e-9 or value == near)
        assume(abs(abs(value - old) - clip) > 1e-9)
        clipped = clip > 0 and held > free
        counted += clipped
        expected += weight * (held if clipped else free) / 2
        slopes.append(0.0 if clipped else weight * (value - target))
    columns = [torch.tensor(c, dtype=torch.float64) for c in zip(*states, strict=True)]
    columns[0].requires_grad_(True)
    loss, clipped_at = value_loss(*columns, value_clip=clip)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert columns[0].grad.tolist() == pytest.approx(slopes, rel=1e-9, abs=1e-12)
    assert int(clipped_at.sum()) == counted


def distributions():
    logits = torch.tensor([0.3, -0.2, 1.1, 0.0], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([0.9, 0.1, -0.5, 0.4], dtype=torch.float64).log_softmax(-1)
    return logits, logits.log_softmax(-1), reference


def expected_gradient(name, placed):
    """Of one drawn token, over all four tokens."""
    logits, log_p, log_q = distributions()
    p = log_p.detach().exp()
    estimates = kl_estimate(log_q - log_p, name)
    surrogate = estimates if placed == "loss" else estimates.detach() * log_p
    return torch.autograd.grad((p * surrogate).sum(), logits)[0]


def true_gradient(reverse=True):
    logits, log_p, log_q = distributions()
    kl = (log_p.exp() * (log_p - log_q)) if reverse else (log_q.exp() * (log_q - log_p))
    return torch.autograd.grad(kl.sum(), logits)[0]


def test_which_estimate_of_the_distance_has_which_gradient():
    torch.testing.assert_close(expected_gradient("k1", "reward"), true_gradient())
    torch.testing.assert_close(expected_gradient("k2", "loss"), true_gradient())
    torch.testing.assert_close(expected_gradient("k3", "loss"), true_gradient(reverse=False))
    assert expected_gradient("k1", "loss").abs().max() < 1e-12
    for name in ("k2", "k3"):
        assert (expected_gradient(name, "reward") - true_gradient()).abs().max() > 0.01


def test_unknown_names_are_refused():
    values = dict.fromkeys(
        ("logprobs", "old_logprobs", "rollout_logprobs", "advantages", "entropy", "weights"),
        torch.zeros(1),
    )
    values |= {"reference_logprobs": torch.zeros(1), "sequence": torch.zeros(1, dtype=torch.int64)}
    for name in ("kind", "kl_estimator", "mismatch_level"):
        with pytest.raises(ValueError, match=f"{name} is 'x'"):
            policy_loss(**values, settings=replace(LossSettings(), **{name: "x"}))

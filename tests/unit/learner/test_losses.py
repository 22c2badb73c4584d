"""Losses against a loop over single tokens in plain Python floats."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from redline.learner.advantages.grpo import grpo
from redline.learner.losses import policy_loss, token_weights
from redline.learner.losses.kl import k3
from redline.learner.losses.mismatch import importance_weights, mismatch_ratio
from redline.learner.settings import LossSettings

SETTINGS = LossSettings(clip_low=0.2, clip_high=0.28, kl_coef=0.1, entropy_coef=0.01, tis_cap=2.0)
SEQUENCE = torch.tensor([0, 0, 0, 2, 2, 3])
COUNTS = torch.tensor([3, 0, 2, 1])


def tensors(seed=0, n=6):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda scale: torch.randn(n, generator=generator, dtype=torch.float64) * scale  # noqa: E731
    logprobs = draw(1.0) - 2
    return {
        "logprobs": logprobs,
        "old_logprobs": logprobs + draw(0.4),
        "rollout_logprobs": logprobs + draw(0.8),
        "reference_logprobs": logprobs + draw(0.3),
        "advantages": draw(1.0),
        "entropy": draw(1.0).abs(),
        "weights": draw(1.0).abs(),
        "sequence": SEQUENCE,
    }


def naive_total(t, settings):
    total = 0.0
    for i in range(len(t["logprobs"])):
        new, old, rollout, ref, adv, entropy, weight = (
            float(t[name][i])
            for name in (
                "logprobs",
                "old_logprobs",
                "rollout_logprobs",
                "reference_logprobs",
                "advantages",
                "entropy",
                "weights",
            )
        )
        ratio = math.exp(new - old)
        bounded = min(max(ratio, 1 - settings.clip_low), 1 + settings.clip_high)
        correction = min(math.exp(old - rollout), settings.tis_cap) if settings.tis_cap else 1.0
        kl = math.exp(ref - new) - 1 - (ref - new)
        loss = -correction * min(ratio * adv, bounded * adv)
        total += weight * (loss + settings.kl_coef * kl - settings.entropy_coef * entropy)
    return total


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tis_cap", [0.0, 2.0])
def test_policy_loss_matches_the_loop(seed, tis_cap):
    settings = replace(SETTINGS, tis_cap=tis_cap)
    values = tensors(seed)
    loss = policy_loss(**values, settings=settings)
    assert float(loss.total) == pytest.approx(naive_total(values, settings), rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_gradient_matches_finite_differences_of_the_loop(seed):
    values = tensors(seed)
    values["logprobs"].requires_grad_(True)
    policy_loss(**values, settings=SETTINGS).total.backward()
    step = 1e-6
    for i in range(6):
        sides = []
        for sign in (1, -1):
            moved = {name: value.detach().clone() for name, value in values.items()}
            moved["logprobs"][i] += sign * step
            sides.append(naive_total(moved, SETTINGS))
        slope = (sides[0] - sides[1]) / (2 * step)
        assert float(values["logprobs"].grad[i]) == pytest.approx(slope, abs=1e-6)


def test_first_update_has_ratio_one_and_the_plain_policy_gradient():
    values = tensors() | {"old_logprobs": None, "reference_logprobs": None}
    settings = replace(SETTINGS, tis_cap=0.0, entropy_coef=0.0)
    values["logprobs"].requires_grad_(True)
    loss = policy_loss(**values, settings=settings)
    loss.total.backward()
    torch.testing.assert_close(values["logprobs"].grad, -(values["weights"] * values["advantages"]))
    assert float(loss.clipped) == 0


def test_clip_is_asymmetric_and_counts_dead_tokens():
    old = torch.zeros(4)
    values = {
        "logprobs": torch.tensor([0.75, 1.25, 1.5, 0.75]).log().requires_grad_(True),
        "old_logprobs": old,
        "rollout_logprobs": old,
        "reference_logprobs": None,
        "advantages": torch.tensor([-1.0, 1.0, 1.0, 1.0]),
        "entropy": old,
        "weights": torch.ones(4),
        "sequence": torch.zeros(4, dtype=torch.int64),
    }
    loss = policy_loss(**values, settings=replace(SETTINGS, entropy_coef=0.0))
    loss.total.backward()
    alive = values["logprobs"].grad != 0
    assert alive.tolist() == [False, True, False, True]
    assert float(loss.clipped) == 2


def test_importance_weight_is_truncated_and_has_no_gradient():
    old = torch.tensor([0.0, 0.0], requires_grad=True)
    ratio = mismatch_ratio(old, torch.tensor([-5.0, 1.0]), torch.tensor([0, 0]), "token")
    weights = importance_weights(ratio, 2.0)
    assert weights.tolist() == pytest.approx([2.0, math.exp(-1)])
    assert not weights.requires_grad


def test_k3_is_unbiased_for_the_kl_of_a_small_distribution():
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    q = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    expected = (p * (p / q).log()).sum()
    assert float((p * k3((q / p).log())).sum()) == pytest.approx(float(expected))


def test_token_mean_weighs_all_tokens_alike():
    weights = token_weights(SEQUENCE, COUNTS, replace(SETTINGS, aggregation="token_mean"))
    assert weights.tolist() == pytest.approx([1 / 6] * 6)


def test_sequence_mean_weighs_sequences_alike_and_ignores_empty_ones():
    weights = token_weights(SEQUENCE, COUNTS, replace(SETTINGS, aggregation="sequence_mean"))
    assert weights.tolist() == pytest.approx([1 / 9] * 3 + [1 / 6] * 2 + [1 / 3])


def test_constant_divides_by_the_given_length():
    settings = replace(SETTINGS, aggregation="constant", constant_length=10)
    assert token_weights(SEQUENCE, COUNTS, settings).tolist() == pytest.approx([1 / 30] * 6)


def test_unknown_aggregation_is_refused():
    with pytest.raises(ValueError, match="aggregation is 'mean'"):
        token_weights(SEQUENCE, COUNTS, replace(SETTINGS, aggregation="mean"))


def test_the_defaults_give_the_figures_that_they_always_gave():
    """Recorded once; a change here changes what existing runs learn."""
    returns = [[-0.1, 1.0], [-0.5], [-0.1, -0.1, -0.1, -0.5], [1.0]]
    advantages = grpo([np.array(r) for r in returns], "trajectory")
    recorded = [0.9284755414613948, -0.8046788025998756, -1.1760690191844334, 1.052272280322914]
    assert [float(a[0]) for a in advantages] == recorded
    of_token = torch.tensor([float(advantages[i][0]) for i in (0, 0, 1, 2, 3, 2)])
    logprobs = torch.tensor([-0.5, -1.25, -2.0, -0.125, -3.0, -0.75], requires_grad=True)
    defaults = LossSettings()
    loss = policy_loss(
        logprobs=logprobs,
        old_logprobs=None,
        rollout_logprobs=torch.tensor([-0.5, -2.0, -2.0, -0.25, -2.0, -1.5]),
        reference_logprobs=None,
        advantages=of_token,
        entropy=torch.tensor([0.5, 0.25, 1.0, 0.1, 0.2, 0.3]),
        weights=token_weights(torch.zeros(6, dtype=int), torch.tensor([6]), defaults),
        sequence=torch.tensor([0, 0, 1, 2, 3, 2]),
        settings=defaults,
    )
    loss.total.backward()
    assert float(loss.total.detach()) == pytest.approx(0.21949025988578796, rel=1e-7)
    assert float(loss.entropy) == pytest.approx(0.3916667103767395, rel=1e-7)
    assert (float(loss.clipped), float(loss.masked)) == (0, 0)
    assert float(loss.mismatch) == pytest.approx(1.11002779006958, rel=1e-7)
    assert logprobs.grad.tolist() == pytest.approx(
        [
            -0.1547459363937378,
            -0.3094918727874756,
            0.1341131329536438,
            0.22211013734340668,
            -0.06451822817325592,
            0.3920230269432068,
        ],
        rel=1e-7,
    )

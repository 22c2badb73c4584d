"""The critic by itself: it learns, it clips, it comes back exactly, it leaves bad steps out."""

import pytest
import torch

from redline.learner.critic import Critic
from redline.learner.settings import CriticSettings

SETTINGS = CriticSettings(kind="head", learning_rate=1e-2, value_clip=0.0)
HIDDEN = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
TARGETS = HIDDEN[:, 0] * 2 - 1
EVEN = torch.full((16,), 1 / 16)


def make(seed=0, settings=SETTINGS):
    return Critic(8, settings, device=torch.device("cpu"), seed=seed)


def train(critic, steps, targets=TARGETS):
    for _ in range(steps):
        loss = critic.backward(HIDDEN, critic.values(HIDDEN), targets, EVEN)
        outcome = critic.step()
    return float(loss), outcome


def test_it_starts_at_zero_and_learns_the_targets():
    critic = make()
    assert (critic.values(HIDDEN) == 0).all()
    first, _ = train(critic, 1)
    last, outcome = train(critic, 300)
    assert last < first / 20
    assert outcome.applied


def test_a_state_without_target_teaches_nothing():
    one, other = make(), make()
    weights = EVEN.clone()
    weights[3] = 0
    for critic, shift in ((one, 0.0), (other, 50.0)):
        targets = TARGETS.clone()
        targets[3] += shift
        critic.backward(HIDDEN, critic.values(HIDDEN), targets, weights)
        critic.step()
    assert one.values(HIDDEN).equal(other.values(HIDDEN))


def test_making_one_leaves_the_random_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    make(seed=9)
    assert torch.rand(1).equal(expected)


def test_what_was_saved_goes_on_exactly(tmp_path):
    straight, first = make(), make()
    train(straight, 3)
    train(first, 3)
    torch.save(first.state(), tmp_path / "critic.pt")
    second = make(seed=7)
    second.restore(torch.load(tmp_path / "critic.pt", weights_only=True))
    train(straight, 2)
    train(second, 2)
    assert straight.values(HIDDEN).equal(second.values(HIDDEN))


def test_a_non_finite_target_leaves_the_critic_alone():
    critic = make()
    train(critic, 3)
    before = critic.values(HIDDEN)
    targets = TARGETS.clone()
    targets[0] = float("nan")
    _, outcome = train(critic, 1, targets)
    assert not outcome.applied
    assert critic.values(HIDDEN).equal(before)
    _, outcome = train(critic, 1)
    assert outcome.applied
    assert outcome.grad_norm == pytest.approx(outcome.grad_norm)

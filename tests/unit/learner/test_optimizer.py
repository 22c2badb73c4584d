"""The guarded optimizer and the learning rate over time."""

from dataclasses import replace

import pytest
import torch

from redline.learner.optimizer import GuardedAdamW, learning_rate
from redline.learner.settings import OptimizerSettings

SETTINGS = OptimizerSettings(learning_rate=0.1, max_grad_norm=1.0)


def parameter_with_gradient(values):
    parameter = torch.nn.Parameter(torch.zeros(len(values)))
    parameter.grad = torch.tensor(values)
    return parameter


def test_a_large_gradient_is_scaled_to_the_norm():
    parameter = parameter_with_gradient([3.0, 4.0])
    optimizer = GuardedAdamW([parameter], SETTINGS, guard=True)
    optimizer.step()
    assert optimizer.grad_norm == pytest.approx(5.0)
    torch.testing.assert_close(parameter.grad, torch.tensor([0.6, 0.8]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_non_finite_gradient_changes_nothing(bad):
    parameter = parameter_with_gradient([1.0, bad])
    optimizer = GuardedAdamW([parameter], SETTINGS, guard=True)
    optimizer.step()
    assert not optimizer.applied
    assert parameter.tolist() == [0, 0]
    assert not optimizer.state
    parameter.grad = torch.tensor([1.0, 1.0])
    optimizer.step()
    assert optimizer.applied
    assert parameter.tolist() == pytest.approx([-0.1, -0.1], rel=1e-4)


def test_warm_up_then_the_schedule():
    constant = replace(SETTINGS, warmup_steps=4)
    assert [learning_rate(constant, s) for s in range(5)] == pytest.approx(
        [0.025, 0.05, 0.075, 0.1, 0.1]
    )
    cosine = replace(SETTINGS, schedule="cosine", final_fraction=0.1)
    assert learning_rate(cosine, 9, 0.0) == pytest.approx(0.1)
    assert learning_rate(cosine, 9, 0.5) == pytest.approx(0.055)
    assert learning_rate(cosine, 9, 1.0) == pytest.approx(0.01)
    linear = replace(cosine, schedule="linear")
    assert learning_rate(linear, 9, 0.25) == pytest.approx(0.0775)


def test_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="schedule is 'step'"):
        learning_rate(replace(SETTINGS, schedule="step"), 0)

"""The critic of PPO: a small network on the policy's last hidden state, with its own optimizer.

Its gradient stops at the hidden state, so it neither disturbs the policy nor becomes part of it: it
is no module of the policy, the engine does not shard it, and no export or weight push knows of it.
That makes it the same under every ZeRO stage. It starts at the value 0 everywhere.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from redline.learner.losses.value import value_loss
from redline.learner.optimizer import GuardedAdamW
from redline.learner.settings import CriticSettings, OptimizerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticStep:
    """Outcome of one step of the critic's optimizer."""

    grad_norm: float
    applied: bool
    """False when the gradient was not finite and the critic was left alone."""


class Critic:
    """Values of states, and how they are learned."""

    def __init__(
        self, hidden_size: int, settings: CriticSettings, *, device: torch.device, seed: int
    ) -> None:
        """The same seed gives the same critic, and leaves torch's generator as it was."""
        self._value_clip = settings.value_clip
        self._network = _make_network(hidden_size, seed).to(device)
        self._optimizer = GuardedAdamW(
            self._network.parameters(),
            OptimizerSettings(
                learning_rate=settings.learning_rate, max_grad_norm=settings.max_grad_norm
            ),
            guard=True,
        )

    @torch.no_grad()
    def values(self, hidden: torch.Tensor) -> torch.Tensor:
        """Values (m,) of states with these hidden vectors (m, hidden size)."""
        return self._network(hidden).squeeze(-1)

    def backward(
        self,
        hidden: torch.Tensor,  # (m, hidden size)
        old_values: torch.Tensor,  # (m,)
        targets: torch.Tensor,  # (m,)
        weights: torch.Tensor,  # (m,) 0 where a state has no target
    ) -> torch.Tensor:
        """Add the gradient of the value loss; returns the loss."""
        values = self._network(hidden.detach()).squeeze(-1)
        loss, _ = value_loss(values, old_values, targets, weights, self._value_clip)
        loss.backward()
        return loss.detach()

    def step(self) -> CriticStep:
        """Apply what was accumulated since the last step, summed over all ranks."""
        if dist.is_initialized() and dist.get_world_size() > 1:
            for parameter in self._network.parameters():
                if parameter.grad is None:  # this rank had nothing, the others wait for it
                    parameter.grad = torch.zeros_like(parameter)
                dist.all_reduce(parameter.grad)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return CriticStep(grad_norm=self._optimizer.grad_norm, applied=self._optimizer.applied)

    def state(self) -> dict[str, Any]:
        """Weights and optimizer state, for a checkpoint."""
        return {"network": self._network.state_dict(), "optimizer": self._optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` gave."""
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])


def _make_network(hidden_size: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        last = nn.Linear(hidden_size, 1)
        network = nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.SiLU(), last)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return network

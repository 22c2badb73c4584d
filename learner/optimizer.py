"""AdamW that clips and guards its own step, and the learning rate over time."""

import math
from collections.abc import Iterable

import torch

from redline.learner.settings import OptimizerSettings


class GuardedAdamW(torch.optim.AdamW):
    """AdamW that clips the global gradient norm and leaves out steps with a non-finite one.

    DeepSpeed clips by itself only from ZeRO stage 1 on, where `max_grad_norm` is to be 0 here.
    """

    def __init__(
        self, parameters: Iterable[torch.nn.Parameter], settings: OptimizerSettings, *, guard: bool
    ) -> None:
        """`guard` turns clipping and the check for non-finite gradients on."""
        super().__init__(
            parameters,
            lr=settings.learning_rate,
            betas=(settings.betas[0], settings.betas[1]),
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self._guard = guard
        self._max_grad_norm = settings.max_grad_norm
        self.grad_norm = float("nan")
        """Global norm before clipping, of the last step."""
        self.applied = True
        """Whether the last step changed the weights."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step, unless the gradient is not finite."""
        if self._guard:
            gradients = [
                p.grad for group in self.param_groups for p in group["params"] if p.grad is not None
            ]
            norm = torch.nn.utils.get_total_norm(gradients)
            self.grad_norm = float(norm)
            self.applied = math.isfinite(self.grad_norm)
            if not self.applied:
                return
            if 0 < self._max_grad_norm < self.grad_norm:
                torch._foreach_mul_(gradients, self._max_grad_norm / (self.grad_norm + 1e-6))
        super().step()


def learning_rate(settings: OptimizerSettings, step: int, progress: float = 0.0) -> float:
    """Rate of the 0-based `step`; `progress` (0 to 1) is the share of training already done.

    Raises ValueError for an unknown schedule.
    """
    rate = settings.learning_rate
    if step < settings.warmup_steps:
        return rate * (step + 1) / settings.warmup_steps
    progress = min(max(progress, 0.0), 1.0)
    floor = settings.final_fraction
    match settings.schedule:
        case "constant":
            return rate
        case "linear":
            return rate * (floor + (1 - floor) * (1 - progress))
        case "cosine":
            return rate * (floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)
    raise ValueError(
        f"schedule is {settings.schedule!r}, expected `constant`, `linear` or `cosine`"
    )

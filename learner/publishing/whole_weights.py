"""The weights of a policy as its checkpoint names them, with an adapter merged on the fly.

An adapted layer W, A, B counts as W + scale * B A. The merged matrix is a new tensor, made when it
is asked for; the trained modules are never touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from peft.tuners.lora import Linear as LoraLinear
from transformers import PreTrainedModel

from redline.learner.lora import ADAPTER

_BASE = ".base_layer."
_ADAPTER_PARTS = (".lora_A.", ".lora_B.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WholeWeight:
    """One weight as a model without adapters has it."""

    name: str
    """In the checkpoint."""
    stored: torch.Tensor
    """Without the adapter; of the same shape and type as the whole weight."""
    layer: LoraLinear | None
    """The adapted layer that `stored` is the matrix of, if it is one."""

    @torch.no_grad()
    def tensor(self) -> torch.Tensor:
        """The weight itself; the sum is formed in float32."""
        stored = self.stored.detach()
        if self.layer is None:
            return stored
        down = self.layer.lora_A[ADAPTER].weight.float()
        up = self.layer.lora_B[ADAPTER].weight.float()
        change = (up @ down) * self.layer.scaling[ADAPTER]
        if self.layer.fan_in_fan_out:
            change = change.T
        return (stored.float() + change).to(stored.dtype)


def whole_weights(policy: PreTrainedModel) -> Iterator[WholeWeight]:
    """All parameters of a policy with or without adapter, tied ones once."""
    layers = {
        f"{name}.weight": module
        for name, module in policy.named_modules()
        if isinstance(module, LoraLinear)
    }
    for inner, parameter in policy.named_parameters():  # names a tied tensor once
        if any(part in inner for part in _ADAPTER_PARTS):
            continue
        name = inner.replace(_BASE, ".")
        yield WholeWeight(name=name, stored=parameter, layer=layers.get(name))


def whole_state(policy: PreTrainedModel) -> dict[str, torch.Tensor]:
    """State dictionary for `save_pretrained`, buffers and tied names included."""
    merged = {weight.name: weight.tensor() for weight in whole_weights(policy) if weight.layer}
    state: dict[str, torch.Tensor] = {}
    for inner, tensor in policy.state_dict().items():
        if not any(part in inner for part in _ADAPTER_PARTS):
            name = inner.replace(_BASE, ".")
            state[name] = merged.get(name, tensor)
    return state

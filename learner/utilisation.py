"""Model FLOPs utilisation: what the mathematics of a step needs, over what its devices could do.

Chowdhery et al., "PaLM", arXiv 2204.02311, appendix B: a product with a weight takes 2 operations a
token forward and as many for the gradient of its input; 2 more for the gradient of the weight where
it is trained. Each pair of a token and one that it attends to takes 4 operations per head, head
dimension and layer forward, and twice that backward. What is computed again to save memory, the
padding, scoring passes and the critic are not counted: they lower the figure. Of a causal mask only
what it leaves is counted, a beginning that a group shares once, and the output head only where its
logits are needed; so 1 is never reached by leaving work out. Of a mixture of experts every expert
would be counted.
"""

import re
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

PEAKS: tuple[tuple[frozenset[str], float], ...] = (
    (frozenset({"GB200"}), 2.5e15),
    (frozenset({"B200"}), 2.25e15),
    (frozenset({"GH200"}), 989e12),
    (frozenset({"H200", "NVL"}), 835e12),
    (frozenset({"H200"}), 989e12),
    (frozenset({"H100", "PCIE"}), 756e12),
    (frozenset({"H100", "NVL"}), 835e12),
    (frozenset({"H100"}), 989e12),
    (frozenset({"H800"}), 989e12),
    (frozenset({"H20"}), 148e12),
    (frozenset({"A100"}), 312e12),
    (frozenset({"A800"}), 312e12),
    (frozenset({"A40"}), 149.7e12),
    (frozenset({"A30"}), 165e12),
    (frozenset({"L40S"}), 362e12),
    (frozenset({"L40"}), 181e12),
    (frozenset({"L4"}), 121e12),
    (frozenset({"A10"}), 125e12),
    (frozenset({"A10G"}), 70e12),
)
"""Words of a device's name, and its peak in FLOP/s: bfloat16 matrix units without sparsity, from
NVIDIA's data sheets of each product. The first entry that fits counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """What decides the operations of a policy; all numbers are of whole weights."""

    body: int
    """Weights that every token is multiplied with."""
    body_trained: int
    """Those of them that get a gradient."""
    head: int
    """Weights of the output head."""
    head_trained: int
    attention: int
    """Layers x heads x head dimension."""

    def flops(self, *, tokens: int, wanted: int, pairs: int) -> float:
        """Operations of one forward and backward.

        tokens: computed by the body; wanted: tokens whose logits are needed; pairs: of a token and
        one that it attends to, itself included.
        """
        body = (4.0 * self.body + 2.0 * self.body_trained) * tokens
        head = (4.0 * self.head + 2.0 * self.head_trained) * wanted
        return body + head + 12.0 * self.attention * pairs


def model_shape(policy: PreTrainedModel) -> ModelShape:
    """Counts the weights of a policy, whole ones under ZeRO-3 too."""
    config = policy.config.get_text_config()
    head = policy.get_output_embeddings()
    head_weight = None if head is None else head.weight
    body = trained = 0
    for module in policy.modules():
        if isinstance(module, nn.Embedding):
            continue
        for weight in module.parameters(recurse=False):
            if weight is head_weight or len(_shape(weight)) < 2:
                continue
            body += _size(weight)
            trained += _size(weight) if weight.requires_grad else 0
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    head_size = 0 if head_weight is None else _size(head_weight)
    return ModelShape(
        body=body,
        body_trained=trained,
        head=head_size,
        head_trained=head_size if head_weight is not None and head_weight.requires_grad else 0,
        attention=config.num_hidden_layers * heads * head_dim,
    )


def _shape(weight: nn.Parameter) -> torch.Size:
    """Of the whole weight, of which ZeRO-3 leaves a part."""
    return getattr(weight, "ds_shape", weight.shape)


def _size(weight: nn.Parameter) -> int:
    return _shape(weight).numel()


def peak_flops(device_name: str) -> float | None:
    """FLOP/s that a device could do at most; None when it is not known, and for parts of one."""
    words = frozenset(re.split(r"[\s-]+", device_name.upper()))
    if "MIG" in words:
        return None
    return next((peak for known, peak in PEAKS if known <= words), None)


def utilisation(flops: float, seconds: float, device: torch.device, ranks: int) -> float | None:
    """Share of the peak of all ranks' devices that `flops` of all ranks took; None if unknown."""
    if device.type != "cuda" or seconds <= 0:
        return None
    peak = peak_flops(torch.cuda.get_device_name(device))
    return None if peak is None else flops / (seconds * peak * ranks)

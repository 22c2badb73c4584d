"""What of a policy leaves the learner: all of its weights, or its adapter alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import nn
from transformers import PreTrainedModel

from redline.learner.lora import ADAPTER, has_adapter
from redline.learner.publishing.bucket_layout import BucketLayout, TensorShape
from redline.replay.records import LowRankSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Tensors by the names they leave under, tied ones once."""

    tensors: dict[str, nn.Parameter]
    adapter: tuple[LowRankSpec, ...]
    """What the tensors change, when they are those of an adapter."""

    def shapes(self) -> Iterator[TensorShape]:
        """All shapes as they are once gathered."""
        for name, parameter in self.tensors.items():
            yield TensorShape(
                name=name,
                # ZeRO-3 leaves an empty tensor behind and notes the shape beside it.
                shape=tuple(getattr(parameter, "ds_shape", parameter.shape)),
                dtype=str(parameter.dtype).removeprefix("torch."),
                itemsize=parameter.element_size(),
            )

    def of(self, layout: BucketLayout) -> list[nn.Parameter]:
        """The tensors of one bucket in their order."""
        return [self.tensors[spec.name] for spec in layout.specs]


def outgoing(policy: PreTrainedModel) -> Outgoing:
    """The adapter of a policy that has one, for the samplers have the rest; else all weights."""
    if not has_adapter(policy):
        return Outgoing(tensors=dict(policy.named_parameters()), adapter=())
    tensors: dict[str, nn.Parameter] = {}
    adapter: list[LowRankSpec] = []
    for name, layer in policy.named_modules():
        if isinstance(layer, LoraLinear):
            spec = LowRankSpec(
                weight=f"{name}.weight",
                down=f"{name}.lora_A",
                up=f"{name}.lora_B",
                scale=float(layer.scaling[ADAPTER]),
                transposed=bool(layer.fan_in_fan_out),
            )
            tensors[spec.down] = layer.lora_A[ADAPTER].weight
            tensors[spec.up] = layer.lora_B[ADAPTER].weight
            adapter.append(spec)
    return Outgoing(tensors=tensors, adapter=tuple(adapter))


def bytes_of(parameter: torch.Tensor) -> torch.Tensor:
    """The bytes of a contiguous tensor, (n,), in place."""
    return parameter.detach().contiguous().flatten().view(torch.uint8)

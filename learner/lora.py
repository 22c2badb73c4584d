"""Low-rank adapters (Hu et al., arXiv 2106.09685) through PEFT.

PEFT puts its layers into the policy in place, so everything else goes on using the policy itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from peft import LoraConfig, get_peft_model
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import PreTrainedModel

from redline.learner.settings import LoraSettings

ADAPTER = "default"
"""Name that PEFT gives to the only adapter."""


def add_adapter(policy: PreTrainedModel, settings: LoraSettings) -> None:
    """Freeze the policy and put an adapter, which changes nothing yet, into its linear layers.

    Raises ValueError when `target_modules` matches nothing, or layers whose adapter could not be
    merged: other than linear ones, or an output head that shares its weights with the embedding.
    """
    wanted = settings.target_modules
    names = wanted if wanted == "all-linear" else [name.strip() for name in wanted.split(",")]
    get_peft_model(
        policy,
        LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=names,
            task_type="CAUSAL_LM",
        ),
    )
    head = policy.get_output_embeddings()
    for name, layer in _adapted_layers(policy):
        shared = layer is head and policy.config.tie_word_embeddings
        if shared or not isinstance(layer, LoraLinear):
            raise ValueError(
                f"learner.lora.target_modules={wanted!r} matches {name},"
                f" {'which shares its weights with the embedding' if shared else 'not linear'}:"
                " name linear layers only"
            )


@contextmanager
def adapter_off(policy: PreTrainedModel) -> Iterator[None]:
    """The policy as it was before its adapter; for reading only."""
    layers = [layer for _, layer in _adapted_layers(policy)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def has_adapter(policy: PreTrainedModel) -> bool:
    """Whether `add_adapter` was called on this policy."""
    return any(True for _ in _adapted_layers(policy))


def _adapted_layers(policy: nn.Module) -> Iterator[tuple[str, BaseTunerLayer]]:
    for name, module in policy.named_modules():
        if isinstance(module, BaseTunerLayer):
            yield name, module

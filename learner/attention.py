"""Causal attention for short sequences on CPU.

PyTorch's fused CPU kernel spends half of a small model's training step in attention. Up to a few
hundred tokens plain batched products are two to three times as fast in bfloat16 (measured with 168
and 256 tokens, heads of 32 to 80). Longer sequences, float32 and other devices use the fused one.
"""

import math
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "redline_short_causal"
MAX_TOKENS = 384
"""Longest sequence for plain products, whose memory grows with its square."""
_BLOCKED = -3e4


def use_short_attention(policy: PreTrainedModel) -> None:
    """Let a policy with plain causal attention use this kernel; others are left alone.

    Sequences must be padded on the right and come without an attention mask.
    """
    config = policy.config
    if getattr(config, "sliding_window", None) or getattr(config, "layer_types", None):
        return
    AttentionInterface.register(NAME, short_causal_attention)
    policy.set_attn_implementation(NAME)


def short_causal_attention(
    module: nn.Module,
    query: torch.Tensor,  # (b, heads, t, d)
    key: torch.Tensor,  # (b, key heads, t, d)
    value: torch.Tensor,  # (b, key heads, t, d)
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention output (b, t, heads, d)."""
    if query.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        # Rotary embeddings leave queries and keys in float32.
        query, key, value = query.bfloat16(), key.bfloat16(), value.bfloat16()
    heads, tokens, width = query.shape[1:]
    plain = attention_mask is None and not options.get("dropout") and key.shape[2] == tokens
    if not (plain and tokens <= MAX_TOKENS and query.dtype == torch.bfloat16) or query.is_cuda:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
    if key.shape[1] != heads:
        key = key.repeat_interleave(heads // key.shape[1], dim=1)
        value = value.repeat_interleave(heads // value.shape[1], dim=1)
    with torch.autocast("cpu", enabled=False):
        future = torch.full((tokens, tokens), _BLOCKED, dtype=query.dtype).triu(1)
        scores = torch.baddbmm(
            future.expand(query.shape[0] * heads, tokens, tokens),
            query.flatten(0, 1),
            key.flatten(0, 1).transpose(-1, -2),
            alpha=scaling if scaling is not None else 1.0 / math.sqrt(width),
        )
        output = torch.softmax(scores, dim=-1) @ value.flatten(0, 1)
    return output.unflatten(0, (-1, heads)).transpose(1, 2), None

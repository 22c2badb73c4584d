"""Causal attention of padded and of packed batches.

Padded batches on CPU: PyTorch's fused kernel spends half of a small model's training step in
attention. Up to a few hundred tokens plain batched products are two to three times as fast in
bfloat16 (measured with 168 and 256 tokens, heads of 32 to 80); everything else uses the fused one.

Packed batches: the row's tokens are gathered into buckets of sequences, which attend together.
"""

import math
from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from redline.learner.batches.packed_layout import Bucket, PackedLayout

NAME = "redline_causal"
MAX_TOKENS = 384
"""Longest sequence for plain products, whose memory grows with its square."""
_BLOCKED = -3e4


def use_packed_attention(policy: PreTrainedModel) -> bool:
    """Let a policy with plain causal attention use these kernels; returns whether it has it.

    Batches must be packed, or padded on the right, and come without an attention mask.
    """
    config = policy.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    plain = kinds == {"full_attention"} and not getattr(config, "sliding_window", None)
    if not (plain and policy._supports_attention_backend):
        return False
    AttentionInterface.register(NAME, causal_attention)
    policy.set_attn_implementation(NAME)
    return True


def causal_attention(
    module: nn.Module,
    query: torch.Tensor,  # (b, heads, t, d)
    key: torch.Tensor,  # (b, key heads, t, d)
    value: torch.Tensor,  # (b, key heads, t, d)
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    packed_layout: PackedLayout | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention output (b, t, heads, d)."""
    if query.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        # Rotary embeddings leave queries and keys in float32.
        query, key, value = query.bfloat16(), key.bfloat16(), value.bfloat16()
    if packed_layout is not None:
        return _packed(query, key, value, packed_layout, scaling), None
    plain = attention_mask is None and not options.get("dropout") and key.shape[2] == query.shape[2]
    if plain and _is_short(query):
        return _plain_products(query, *_repeated(query, key, value), None, scaling).transpose(
            1, 2
        ), None
    return sdpa_attention_forward(
        module, query, key, value, attention_mask, scaling=scaling, **options
    )


def _packed(
    query: torch.Tensor,  # (1, heads, t, d)
    key: torch.Tensor,
    value: torch.Tensor,
    layout: PackedLayout,
    scaling: float | None,
) -> torch.Tensor:  # (1, t, heads, d)
    """Each bucket by itself; the outputs go back to where their tokens lie."""
    heads, _, width = query.shape[1:]
    rows = [
        tensor[0].transpose(0, 1).flatten(1) for tensor in (query, key, value)
    ]  # (t, heads * d)
    outputs = []
    for bucket in layout.buckets:
        own = _gathered(rows[0], bucket.queries, width)
        keys, values = (_gathered(row, bucket.keys, width) for row in rows[1:])
        outputs.append(
            _bucket(own, keys, values, bucket, scaling).transpose(1, 2).reshape(-1, heads * width)
        )
    joined = torch.cat(outputs).index_select(0, layout.places)
    return joined.unflatten(1, (heads, width))[None]


def _gathered(row: torch.Tensor, places: torch.Tensor, width: int) -> torch.Tensor:
    """Rows (t, heads * d) at places (k, s) as (k, heads, s, d)."""
    found = row.index_select(0, places.flatten())
    return found.view(*places.shape, -1, width).transpose(1, 2)


def _bucket(
    query: torch.Tensor,  # (k, heads, s, d)
    key: torch.Tensor,  # (k, key heads, c + s, d)
    value: torch.Tensor,
    bucket: Bucket,
    scaling: float | None,
) -> torch.Tensor:  # (k, heads, s, d)
    masked = bucket.mask is not None
    if masked or _is_short(key):
        # Under a mask CUDA shares key heads in its slowest kernel alone, which keeps all scores.
        key, value = _repeated(query, key, value)
    if _is_short(key):
        return _plain_products(query, key, value, bucket.mask, scaling)
    return scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=bucket.mask,
        is_causal=not masked,
        scale=scaling,
        enable_gqa=key.shape[1] != query.shape[1],
    )


def _is_short(key: torch.Tensor) -> bool:
    """Whether plain products beat the fused kernel."""
    return key.device.type == "cpu" and key.dtype == torch.bfloat16 and key.shape[2] <= MAX_TOKENS


def _repeated(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A key and value head for each query head."""
    times = query.shape[1] // key.shape[1]
    if times == 1:
        return key, value
    return key.repeat_interleave(times, dim=1), value.repeat_interleave(times, dim=1)


def _plain_products(
    query: torch.Tensor,  # (k, heads, s, d)
    key: torch.Tensor,  # (k, heads, s', d)
    value: torch.Tensor,
    mask: torch.Tensor | None,  # (k, 1, s, s') bool; None for causal
    scaling: float | None,
) -> torch.Tensor:  # (k, heads, s, d)
    """Attention by two batched products, with bfloat16 in between."""
    count, heads, tokens, width = query.shape
    blocked = torch.zeros((), dtype=query.dtype)
    if mask is None:
        blocked = torch.full((tokens, tokens), _BLOCKED, dtype=query.dtype).triu(1)
        blocked = blocked.expand(count * heads, tokens, tokens)
    else:
        blocked = torch.zeros(mask.shape, dtype=query.dtype).masked_fill(~mask, _BLOCKED)
        blocked = blocked.expand(-1, heads, -1, -1).flatten(0, 1)
    with torch.autocast("cpu", enabled=False):
        scores = torch.baddbmm(
            blocked,
            query.flatten(0, 1),
            key.flatten(0, 1).transpose(-1, -2),
            alpha=scaling if scaling is not None else 1.0 / math.sqrt(width),
        )
        output = torch.softmax(scores, dim=-1) @ value.flatten(0, 1)
    return output.unflatten(0, (count, heads))

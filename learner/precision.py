"""Where bfloat16 pays: matrix products in it are fast only on hardware that has units for it."""

import torch


def bfloat16_is_fast() -> bool:
    """Whether the device that a learner computes on has units for bfloat16.

    A CPU without them emulates each product: thirty times slower than float32 was measured with
    AVX2 alone.
    """
    if torch.cuda.is_available():
        return True
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16") or able.get("bf16"))

"""Tiny policies for engine tests, and weight updates made of them. Knows no learner code."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tiny_llama import byte_level_tokenizer, save_tiny_llama
from transformers import LlamaForCausalLM

from redline.replay.records import BucketSpec, Probe, TensorSpec, WeightUpdate

PER_BUCKET = 7


def make_policy(folder: Path, *, tied: bool, joined: bool = False) -> Path:
    """A random two-layer Llama as a Hugging Face folder; `joined` as in `byte_level_tokenizer`."""
    tokenizer = byte_level_tokenizer(
        ("<s>", "</s>"), joined=joined, bos_token="<s>", eos_token="</s>"
    )
    return save_tiny_llama(
        folder,
        tokenizer,
        tie_word_embeddings=tied,
        max_position_embeddings=1024,
        initializer_range=0.2,
    )


def load(folder: Path) -> LlamaForCausalLM:
    """The policy as transformers computes it."""
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def change(model: LlamaForCausalLM, seed: int) -> None:
    """Move every weight, as an optimizer step would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)


def logprobs(model: LlamaForCausalLM, token_ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """Log-probabilities of tokens 1..n-1 given those before, shape (n - 1,)."""
    ids = torch.as_tensor(np.asarray(token_ids)).long()
    with torch.no_grad():
        table = model(ids[None]).logits[0, :-1].log_softmax(-1)
    return table.gather(-1, ids[1:, None])[:, 0].numpy()


def weight_update(
    model: LlamaForCausalLM, version: int, probe_ids: Sequence[int]
) -> tuple[WeightUpdate, list[np.ndarray]]:
    """All weights of a model, tied ones once, in buckets of a few tensors."""
    specs: list[TensorSpec] = []
    buckets: list[np.ndarray] = []
    parameters = list(model.named_parameters())
    for first in range(0, len(parameters), PER_BUCKET):
        offset, parts = 0, []
        for name, parameter in parameters[first : first + PER_BUCKET]:
            data = parameter.detach().contiguous().numpy().reshape(-1).view(np.uint8)
            specs.append(
                TensorSpec(
                    name=name,
                    shape=tuple(parameter.shape),
                    dtype="float32",
                    bucket=len(buckets),
                    offset=offset,
                    nbytes=data.size,
                )
            )
            parts.append(data)
            offset += data.size
        buckets.append(np.concatenate(parts))
    update = WeightUpdate(
        version=version,
        transport="object_store",
        manifest=tuple(specs),
        buckets=tuple(BucketSpec(nbytes=b.size, checksum=checksum(b)) for b in buckets),
        adapter=(),
        probe=make_probe(model, probe_ids),
    )
    return update, buckets


def make_probe(model: LlamaForCausalLM, probe_ids: Sequence[int]) -> Probe:
    """A probe prompt as transformers scores it."""
    return Probe(
        token_ids=np.asarray(probe_ids, dtype=np.int32),
        logprobs=logprobs(model, probe_ids).astype(np.float32),
    )


def checksum(bucket: np.ndarray) -> str:
    """As an update names it."""
    return hashlib.blake2b(bucket.data, digest_size=16).hexdigest()

"""Tiny policies for engine tests, and weight updates made of them. Knows no learner code."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from redline.replay.records import BucketSpec, Probe, TensorSpec, WeightUpdate

PER_BUCKET = 7
LINES = [
    "def f(a, b):\n    return a + b\n",
    "1|def f(a, b):\n2|    return a - b\n***\nf(1, 2) returned -1, expected 3\n### ",
    "REPL 2 >>>    return a + b\nDELL 1\nADDL 3 >>>x\nREPW 1 >>>a >>>b\nEXIT\n",
]


def make_policy(folder: Path, *, tied: bool, vocab: int = 384, joined: bool = False) -> Path:
    """A random two-layer Llama with a byte-level tokenizer, saved as a Hugging Face folder.

    `joined` lets tokens reach over blanks and newlines, as many published tokenizers do.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not joined)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES * 5, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=1024,
        tie_word_embeddings=tied,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
        initializer_range=0.2,
        dtype="float32",
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


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

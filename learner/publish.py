"""Weights on their way out: one contiguous payload, its manifest, its checksum and a probe."""

import hashlib

import numpy as np
import torch
from transformers import PreTrainedModel

from redline.learner.whole_weights import whole_weights
from redline.replay.records import Int32, Probe, TensorSpec, WeightUpdate

PROBE_TOKENS = 64


def make_weight_update(policy: PreTrainedModel, version: int) -> WeightUpdate:
    """All weights of `policy` under their names in its checkpoint, tied ones once.

    The tensors lie back to back in the type of the policy; adapters are merged, one at a time.
    """
    manifest: list[TensorSpec] = []
    weights = list(whole_weights(policy))
    payload = np.empty(sum(w.stored.numel() * w.stored.element_size() for w in weights), np.uint8)
    offset = 0
    for weight in weights:
        tensor = weight.tensor()
        nbytes = tensor.numel() * tensor.element_size()
        raw = tensor.cpu().contiguous().flatten().view(torch.uint8)
        payload[offset : offset + nbytes] = raw.numpy()
        manifest.append(
            TensorSpec(
                name=weight.name,
                shape=tuple(tensor.shape),
                dtype=str(tensor.dtype).removeprefix("torch."),
                offset=offset,
                nbytes=nbytes,
            )
        )
        offset += nbytes
    return WeightUpdate(
        version=version,
        manifest=tuple(manifest),
        payload=payload,
        checksum=hashlib.blake2b(payload.data, digest_size=16).hexdigest(),
        probe=make_probe(policy),
    )


def probe_tokens(vocabulary: int) -> Int32:
    """The fixed probe prompt: tokens from all over the vocabulary, the same for every version."""
    return np.random.default_rng(0).integers(0, vocabulary, PROBE_TOKENS).astype(np.int32)


@torch.no_grad()
def make_probe(policy: PreTrainedModel) -> Probe:
    """Score the probe prompt without autocast, in the type of the weights."""
    token_ids = probe_tokens(policy.config.vocab_size)
    ids = torch.from_numpy(token_ids).long()[None].to(policy.device)
    was_training = policy.training
    policy.eval()
    logits = policy(input_ids=ids, use_cache=False).logits[0, :-1].float()
    policy.train(was_training)
    logprobs = torch.log_softmax(logits, dim=-1).gather(-1, ids[0, 1:, None]).squeeze(-1)
    return Probe(token_ids=token_ids, logprobs=logprobs.cpu().numpy())

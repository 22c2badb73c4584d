"""Scores and gradients on a GPU, of each packing and type, against float32 on the CPU."""

import numpy as np
import pytest
import torch
from tiny_llama import byte_level_tokenizer, save_tiny_llama

from redline.learner.batches.attention import use_packed_attention
from redline.learner.batches.micro_batches import micro_batches
from redline.learner.model import load_policy
from redline.learner.scorer import Scorer

from .cuda import DEVICE, needs_gpus

pytestmark = [pytest.mark.gpu, needs_gpus(1)]

PACKINGS = ("padded", "packed", "shared_prefix")
SHARED = 20
LENGTHS = [(5, 30, 7), (1, 1), (12,), (40, 3, 9, 90)]
"""Own tokens of each sequence, group by group, after a beginning that the group shares."""


@pytest.fixture(scope="module")
def policy_folder(tmp_path_factory):
    """Two query heads that share a key head, as in most published policies."""
    tokenizer = byte_level_tokenizer(("</s>",), eos_token="</s>")
    return str(save_tiny_llama(tmp_path_factory.mktemp("policy"), tokenizer))


def sequences():
    """Token ids, marks of the tokens to be scored, and the group of each sequence."""
    rng = np.random.default_rng(0)
    ids, wanted, groups = [], [], []
    for number, lengths in enumerate(LENGTHS):
        first = rng.integers(3, 300, SHARED)
        for length in lengths:
            ids.append(np.concatenate([first, rng.integers(3, 300, length)]).astype(np.int32))
            wanted.append(np.r_[np.zeros(SHARED, bool), True, rng.random(length - 1) < 0.5])
            groups.append(number)
    return ids, wanted, groups


def scored(folder, packing, device, *, dtype="float32", autocast=False):
    """Log-probabilities of the wanted tokens and all gradients in one vector, on the CPU."""
    ids, wanted, groups = sequences()
    policy = load_policy(folder, dtype).to(device)
    assert use_packed_attention(policy)
    scorer = Scorer(policy, autocast=autocast)
    logprobs = [None] * len(ids)
    total = sum(int(marks.sum()) for marks in wanted)
    for micro in micro_batches(ids, wanted, token_budget=200, packing=packing, groups=groups):
        scores = scorer(micro.tokens.to(device))
        (-scores.logprobs.sum() / total).backward()
        own = scores.logprobs.detach().cpu()
        for number, index in enumerate(micro.members):
            logprobs[index] = own[micro.tokens.sequence == number]
    gradients = [p.grad.detach().float().cpu().flatten() for p in policy.parameters()]
    return torch.cat(logprobs), torch.cat(gradients)


@pytest.fixture(scope="module")
def reference(policy_folder):
    return scored(policy_folder, "padded", torch.device("cpu"))


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(
    ("numbers", "logprob_off", "gradient_off"),
    [
        ({"dtype": "float32"}, 1e-4, 1e-3),
        ({"dtype": "float32", "autocast": True}, 0.06, 0.1),
        ({"dtype": "bfloat16"}, 0.06, 0.1),
    ],
    ids=["float32", "autocast", "bfloat16"],
)
def test_a_gpu_scores_as_the_cpu_does(
    policy_folder, reference, packing, numbers, logprob_off, gradient_off
):
    logprobs, gradient = scored(policy_folder, packing, DEVICE, **numbers)
    torch.testing.assert_close(logprobs, reference[0], atol=logprob_off, rtol=0)
    off = (gradient - reference[1]).norm() / reference[1].norm()
    assert float(off) < gradient_off


def test_query_heads_that_share_key_heads_never_keep_all_scores(policy_folder):
    """PyTorch's general kernel would; a mask rules out the other two for heads that are shared."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    quick = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
    with sdpa_kernel(quick):
        logprobs, _ = scored(policy_folder, "shared_prefix", DEVICE, dtype="bfloat16")
    assert bool(torch.isfinite(logprobs).all())

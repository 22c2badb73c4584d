"""Operations of a step against torch's own count, and the peaks of known devices."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from redline.learner.batches.packed import pack_batch
from redline.learner.batches.packing import pad_batch
from redline.learner.lora import add_adapter
from redline.learner.model import load_policy
from redline.learner.settings import LoraSettings
from redline.learner.utilisation import model_shape, peak_flops, utilisation

TOKENS = 48


def counted(policy):
    """Operations of a forward and backward over one sequence, as torch counts them."""
    policy.set_attn_implementation("eager")
    ids = torch.arange(TOKENS)[None] + 10
    with FlopCounterMode(display=False) as counter:
        policy(input_ids=ids, use_cache=False).logits.sum().backward()
    return counter.get_total_flops()


def test_operations_are_those_that_torch_counts(tiny_policy):
    policy = load_policy(tiny_policy)
    # Eager attention computes all pairs, those that the mask takes away too.
    expected = model_shape(policy).flops(tokens=TOKENS, wanted=TOKENS, pairs=TOKENS**2)
    assert counted(policy) == pytest.approx(expected, rel=0.01)


def test_frozen_weights_under_an_adapter_need_no_gradient(tiny_policy):
    policy = load_policy(tiny_policy)
    whole = model_shape(policy)
    add_adapter(policy, LoraSettings(rank=4))
    shape = model_shape(policy)
    assert shape.body_trained == shape.body - whole.body > 0
    assert (shape.head, shape.head_trained) == (whole.head, 0)
    expected = shape.flops(tokens=TOKENS, wanted=TOKENS, pairs=TOKENS**2)
    assert counted(policy) == pytest.approx(expected, rel=0.05)


def test_pairs_are_those_below_the_diagonal_and_shared_ones_count_once():
    ids = [np.arange(20, dtype=np.int32), np.r_[np.arange(18), 98, 99].astype(np.int32)]
    wanted = [np.arange(20) >= 18] * 2
    assert pad_batch(ids, wanted).num_pairs == 2 * 210
    assert pack_batch(ids, wanted, [0, 1], [0, 0]).num_pairs == 2 * 210
    shared = pack_batch(ids, wanted, [0, 0], [18, 18])
    assert (shared.num_tokens, shared.num_pairs) == (22, 171 + 2 * (19 + 20))


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA GH200 480GB", 989e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA H200 NVL", 835e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 NVL", 835e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A100 80GB PCIe", 312e12),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", None),
        ("NVIDIA A10G", 70e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA RTX A1000", None),
        ("Some Other Device", None),
    ],
)
def test_peaks_by_name(name, peak):
    assert peak_flops(name) == peak


def test_utilisation_is_absent_where_the_peak_is_not_known(monkeypatch):
    assert utilisation(1e12, 1.0, torch.device("cpu"), 1) is None
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    assert utilisation(989e12, 2.0, torch.device("cuda:0"), 2) == pytest.approx(0.25)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some Other Device")
    assert utilisation(989e12, 2.0, torch.device("cuda:0"), 2) is None

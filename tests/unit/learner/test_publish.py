"""Weights on their way out: where they lie in buckets, and that nothing is lost on the way."""

import hashlib
import math
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from redline.learner.batches.attention import use_packed_attention
from redline.learner.batches.packing import pad_batch
from redline.learner.lora import add_adapter
from redline.learner.model import load_policy
from redline.learner.publishing.bucket_layout import ALIGNMENT, TensorShape, join, lay_out
from redline.learner.publishing.outlets import HostOutlet
from redline.learner.publishing.publish import PROBE_TOKENS, publish
from redline.learner.publishing.whole_weights import whole_weights
from redline.learner.scorer import Scorer
from redline.learner.settings import LoraSettings

SIZES = {"float32": 4, "bfloat16": 2, "float64": 8, "uint8": 1}
shapes = st.lists(
    st.builds(
        lambda shape, dtype: (tuple(shape), dtype),
        st.lists(st.integers(0, 9), max_size=3),
        st.sampled_from(sorted(SIZES)),
    ),
    max_size=12,
)


class BareEngine:
    """What `publish` asks of a training engine, without DeepSpeed."""

    def __init__(self, folder, lora=0):
        self.policy = load_policy(folder)
        if lora:
            add_adapter(self.policy, LoraSettings(rank=lora))
        use_packed_attention(self.policy)
        self.gathers: list[int] = []

    @contextmanager
    def gathered(self, some):
        self.gathers.append(sum(p.numel() * p.element_size() for p in some))
        yield self.policy

    @torch.no_grad()
    def plain_logprobs(self, token_ids):
        scorer = Scorer(self.policy.eval(), temperature=0.5, autocast=True)
        with scorer.plain():
            return scorer(pad_batch([token_ids], [np.arange(len(token_ids)) > 0])).logprobs.numpy()


def tensors_of(update, contents):
    return {
        spec.name: contents[spec.bucket][spec.offset : spec.offset + spec.nbytes]
        .view(spec.dtype)
        .reshape(spec.shape)
        for spec in update.manifest
    }


@given(shapes, st.integers(0, 3000))
def test_tensors_come_back_from_their_buckets(given_shapes, bucket_bytes):
    rng = np.random.default_rng(0)
    shapes_ = [
        TensorShape(name=f"t{n}", shape=shape, dtype=dtype, itemsize=SIZES[dtype])
        for n, (shape, dtype) in enumerate(given_shapes)
    ]
    raw = {
        s.name: rng.integers(0, 256, math.prod(s.shape) * s.itemsize).astype(np.uint8)
        for s in shapes_
    }
    layouts = lay_out(shapes_, bucket_bytes)
    buckets = [join(layout, [raw[spec.name] for spec in layout.specs]) for layout in layouts]
    order = [spec for layout in layouts for spec in layout.specs]
    assert [spec.name for spec in order] == [s.name for s in shapes_]
    for spec in order:
        bucket = buckets[spec.bucket]
        np.testing.assert_array_equal(
            bucket[spec.offset : spec.offset + spec.nbytes], raw[spec.name]
        )
        assert spec.offset % ALIGNMENT == 0
    for layout, bucket in zip(layouts, buckets, strict=True):
        assert len(bucket) == layout.nbytes
        assert layout.nbytes % ALIGNMENT == 0
        ends = [spec.offset + spec.nbytes for spec in layout.specs]
        assert all(a <= b.offset for a, b in zip(ends[:-1], layout.specs[1:], strict=True))
        assert layout.specs[-1].offset + layout.specs[-1].nbytes <= max(
            bucket_bytes, layout.specs[-1].nbytes
        )


def test_a_tensor_larger_than_a_bucket_has_one_of_its_own():
    shapes_ = [
        TensorShape(name=name, shape=(size,), dtype="float32", itemsize=4)
        for name, size in (("small", 4), ("large", 1000), ("last", 4), ("too", 4))
    ]
    layouts = lay_out(shapes_, 256)
    assert [[spec.name for spec in layout.specs] for layout in layouts] == [
        ["small"], ["large"], ["last", "too"]
    ]  # fmt: skip
    assert layouts[1].nbytes == 4032


@pytest.mark.parametrize("bucket_bytes", [0, 30_000, 1 << 28])
def test_every_weight_leaves_once_and_tied_ones_too(tiny_policy, bucket_bytes):
    engine = BareEngine(tiny_policy)
    *contents, update = publish(engine, 7, HostOutlet(bucket_bytes))
    names = [spec.name for spec in update.manifest]
    assert "lm_head.weight" not in names  # tied to the embedding
    assert names == [name for name, _ in engine.policy.named_parameters()]
    assert (update.version, update.transport, update.adapter) == (7, "object_store", ())
    for name, tensor in tensors_of(update, contents).items():
        np.testing.assert_array_equal(tensor, engine.policy.get_parameter(name).detach().numpy())
    assert len(contents) == len(update.buckets) == len(engine.gathers)
    for content, bucket in zip(contents, update.buckets, strict=True):
        assert bucket.nbytes == len(content)
        assert bucket.checksum == hashlib.blake2b(content, digest_size=16).hexdigest()
    largest = max(p.numel() * 4 for p in engine.policy.parameters())
    assert max(engine.gathers) <= max(bucket_bytes, largest), "no more than a bucket is gathered"


def test_bfloat16_weights_leave_bit_for_bit(tiny_policy):
    engine = BareEngine(tiny_policy)
    engine.policy.bfloat16()
    *contents, update = publish(engine, 0, HostOutlet(10_000))
    for spec in update.manifest:
        assert spec.dtype == "bfloat16"
        raw = contents[spec.bucket][spec.offset : spec.offset + spec.nbytes]
        back = torch.from_numpy(raw.copy()).view(torch.bfloat16).view(spec.shape)
        assert back.equal(engine.policy.get_parameter(spec.name))


def test_of_a_policy_with_an_adapter_the_adapter_leaves(tiny_policy):
    from redline.actors.low_rank import merged

    engine = BareEngine(tiny_policy, lora=4)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in engine.policy.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    *contents, update = publish(engine, 1, HostOutlet(1 << 20))
    sent = {name: torch.from_numpy(t.copy()) for name, t in tensors_of(update, contents).items()}
    assert len(sent) == 2 * len(update.adapter) == 2 * 14
    whole = {weight.name: weight for weight in whole_weights(engine.policy)}
    changed = {change.weight for change in update.adapter}
    assert changed == {name for name, weight in whole.items() if weight.layer is not None}
    for change in update.adapter:
        row = (change.weight, change.down, change.up, change.scale, change.transposed)
        weight = whole[change.weight]
        theirs = merged(weight.stored.detach(), sent, row)
        assert theirs.equal(weight.tensor()), "the sampler's sum has the learner's bits"
        assert not theirs.equal(weight.stored)


def test_a_weight_stored_the_other_way_round_is_changed_the_other_way_round():
    from redline.actors.low_rank import merged

    up, down = torch.randn(5, 2), torch.randn(2, 3)
    sent = {"a": down, "b": up}
    plain = merged(torch.zeros(5, 3), sent, ("w", "a", "b", 0.5, False))
    torch.testing.assert_close(plain, 0.5 * up @ down)
    turned = merged(torch.zeros(3, 5), sent, ("w", "a", "b", 0.5, True))
    torch.testing.assert_close(turned, plain.T)


def test_who_is_not_the_sender_gathers_and_yields_nothing(tiny_policy):
    first, other = BareEngine(tiny_policy), BareEngine(tiny_policy)
    list(publish(first, 0, HostOutlet(10_000)))
    assert list(publish(other, 0, HostOutlet(10_000), sender=False)) == []
    assert other.gathers == first.gathers


def test_probe_scores_are_the_policys_own(tiny_policy):
    engine = BareEngine(tiny_policy)
    *_, update = publish(engine, 0, HostOutlet(1 << 20))
    probe = update.probe
    assert len(probe.token_ids) == PROBE_TOKENS
    with torch.no_grad():
        ids = torch.from_numpy(probe.token_ids).long()[None]
        logits = load_policy(tiny_policy)(input_ids=ids).logits[0, :-1].double()
    expected = logits.log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
    np.testing.assert_allclose(probe.logprobs, expected, atol=1e-5)


def test_checksums_follow_the_bytes(tiny_policy):
    engine = BareEngine(tiny_policy)
    *_, before = publish(engine, 0, HostOutlet(1 << 20))
    *_, again = publish(engine, 1, HostOutlet(1 << 20))
    with torch.no_grad():
        engine.policy.model.norm.weight[0] += 1
    *_, after = publish(engine, 2, HostOutlet(1 << 20))
    assert before.buckets == again.buckets != after.buckets
    assert not np.array_equal(before.probe.logprobs, after.probe.logprobs)

"""Packed batches: each token once, nobody sees another sequence, scores and gradients unchanged."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_llama import byte_level_tokenizer, save_tiny_llama

from redline.learner.batches.attention import use_packed_attention
from redline.learner.batches.micro_batches import micro_batches, resolve_packing
from redline.learner.batches.packed import WORTH_SHARING, pack_batch, plan_packed, shared_lengths
from redline.learner.batches.packing import SequenceTooLong
from redline.learner.model import load_policy
from redline.learner.scorer import Scorer

PACKINGS = ("padded", "packed", "shared_prefix")


def make_sequences(sizes, *, beginning=20, seed=0):
    """Groups of sequences with a common beginning: token ids, marks and group of each."""
    rng = np.random.default_rng(seed)
    ids, wanted, groups = [], [], []
    for number, lengths in enumerate(sizes):
        first = rng.integers(3, 300, beginning)
        for length in lengths:
            own = rng.integers(3, 300, length)
            ids.append(np.concatenate([first, own]).astype(np.int32))
            marks = np.concatenate([np.zeros(beginning, bool), rng.random(length) < 0.5])
            marks[beginning] = True  # its source lies in the shared beginning
            wanted.append(marks)
            groups.append(f"g{number}")
    return ids, wanted, groups


SIZES = [(5, 30, 7), (1, 1), (12,), (40, 3, 9, 9)]


@pytest.fixture(scope="module")
def shared_heads(tmp_path_factory):
    """A policy whose query heads share key heads, as most published ones do."""
    tokenizer = byte_level_tokenizer(("</s>",), eos_token="</s>")
    return str(save_tiny_llama(tmp_path_factory.mktemp("shared_heads"), tokenizer))


@pytest.mark.parametrize("budget", [70, 160, 1000])
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("policy_fixture", ["tiny_policy", "shared_heads"])
def test_scores_and_gradients_are_the_same_packed_or_not(request, policy_fixture, budget, autocast):
    ids, wanted, groups = make_sequences(SIZES)
    total = sum(int(marks.sum()) for marks in wanted)
    found = {}
    for packing in PACKINGS:
        policy = load_policy(request.getfixturevalue(policy_fixture))
        assert use_packed_attention(policy)
        scorer = Scorer(policy, autocast=autocast)
        logprobs = [None] * len(ids)
        for micro in micro_batches(
            ids, wanted, token_budget=budget, packing=packing, groups=groups
        ):
            scores = scorer(micro.tokens)
            (-scores.logprobs.sum() / total).backward()
            for number, index in enumerate(micro.members):
                logprobs[index] = scores.logprobs.detach()[micro.tokens.sequence == number]
        found[packing] = torch.cat(logprobs), policy.model.layers[0].self_attn.q_proj.weight.grad
    for packing in PACKINGS[1:]:
        close = {"atol": 0.06, "rtol": 0} if autocast else {"atol": 2e-5, "rtol": 1e-4}
        torch.testing.assert_close(found[packing][0], found["padded"][0], **close)
        off = (found[packing][1] - found["padded"][1]).norm() / found["padded"][1].norm()
        assert float(off) < (0.1 if autocast else 1e-4)


def test_a_critic_reads_the_same_states_packed_or_not(tiny_policy):
    ids, wanted, groups = make_sequences(SIZES)
    states = [np.array([3, 19, len(own) - 1]) for own in ids]
    policy = load_policy(tiny_policy)
    use_packed_attention(policy)
    scorer = Scorer(policy)
    found = {}
    for packing in PACKINGS:
        rows = [None] * len(ids)
        for micro in micro_batches(
            ids, wanted, token_budget=200, packing=packing, groups=groups, states=states
        ):
            hidden = scorer(micro.tokens).hidden.split(3)
            for index, own in zip(micro.members, hidden, strict=True):
                rows[index] = own
        found[packing] = torch.cat(rows)
    torch.testing.assert_close(found["packed"], found["padded"], atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(found["shared_prefix"], found["padded"], atol=2e-5, rtol=1e-4)


def test_a_beginning_is_computed_once():
    ids, wanted, groups = make_sequences([(5, 6, 7)])
    batch = pack_batch(ids, wanted, groups, shared_lengths(ids, wanted, groups))
    assert batch.input_ids.shape == (1, 20 + 5 + 6 + 7)
    assert batch.num_tokens == 38
    assert batch.position_ids[0, 20:25].tolist() == [20, 21, 22, 23, 24]
    apart = pack_batch(ids, wanted, groups, [0, 0, 0])
    assert apart.num_tokens == 78


def test_what_is_shared_ends_before_a_wanted_token_and_must_be_worth_it():
    common = np.arange(40, dtype=np.int32)
    nothing = np.zeros(40, bool)
    early = nothing.copy()
    early[18] = True
    assert shared_lengths([common, common], [nothing, nothing], "aa") == [39, 39]
    assert shared_lengths([common, common], [nothing, early], "aa") == [18, 18]
    assert shared_lengths([common, common], [nothing, nothing], "ab") == [0, 0]
    other = common.copy()
    other[WORTH_SHARING - 1] = 99
    assert shared_lengths([common, other], [nothing, nothing], "aa") == [0, 0]


@given(
    st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=5), min_size=1, max_size=6),
    st.integers(50, 200),
)
def test_every_sequence_is_in_one_batch_within_the_budget(sizes, budget):
    ids, wanted, groups = make_sequences(sizes)
    seen = []
    for micro in micro_batches(
        ids, wanted, token_budget=budget, packing="shared_prefix", groups=groups
    ):
        seen += micro.members
        tokens = micro.tokens
        assert tokens.input_ids.numel() == tokens.num_tokens <= budget
        flat = tokens.input_ids[0].numpy()
        own_ids = [ids[i] for i in micro.members]
        marks = [wanted[i] for i in micro.members]
        expected = np.concatenate([own[at] for own, at in zip(own_ids, marks, strict=True)])
        np.testing.assert_array_equal(flat[tokens.targets], expected)
        before = np.concatenate(
            [own[np.flatnonzero(at) - 1] for own, at in zip(own_ids, marks, strict=True)]
        )
        np.testing.assert_array_equal(flat[tokens.sources], before)
    assert sorted(seen) == list(range(len(ids)))


def test_a_sequence_above_the_budget_is_refused():
    with pytest.raises(SequenceTooLong, match=r"sequence 1 has 21 tokens.*budget of 20"):
        plan_packed([(3, 0), (21, 5)], 20)


def test_a_policy_with_other_attention_is_padded():
    assert resolve_packing("auto", can_pack=False) == "padded"
    assert resolve_packing("auto", can_pack=True) == "shared_prefix"
    with pytest.raises(ValueError, match=r"learner.packing='packed' needs .*: set it to 'padded'"):
        resolve_packing("packed", can_pack=False)

"""Making, loading and missing policies."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from redline.learner.model import (
    PolicyNotFound,
    count_parameters,
    load_policy,
    load_tokenizer,
    make_tiny,
    torch_dtype,
    write_as,
)
from redline.learner.settings import TinyModelSettings


def test_a_tiny_policy_loads_with_its_vocabulary(tiny_policy):
    policy = load_policy(tiny_policy)
    assert policy.config.vocab_size == len(load_tokenizer(tiny_policy))
    assert policy.get_input_embeddings().weight is policy.get_output_embeddings().weight
    assert not policy.training
    assert 10_000 < count_parameters(policy) < 100_000


def test_the_same_seed_makes_the_same_policy(tmp_path):
    settings = TinyModelSettings(
        vocab_size=320, hidden_size=16, intermediate_size=32, layers=1, heads=1
    )
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, two, three = (
        load_policy(str(make_tiny(tmp_path / name, settings, ["x = 1\n"], seed=seed)))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.lm_head.weight, two.lm_head.weight)
    assert not torch.equal(one.lm_head.weight, three.lm_head.weight)


def test_dtype_is_as_asked(tiny_policy):
    assert load_policy(tiny_policy, "bfloat16").dtype == torch.bfloat16
    with pytest.raises(ValueError, match="dtype is 'int8'"):
        torch_dtype("int8")


@pytest.mark.parametrize("load", [load_policy, load_tokenizer])
def test_a_missing_folder_is_one_error_with_its_path(load, tmp_path):
    with pytest.raises(PolicyNotFound, match="no such folder") as caught:
        load(str(tmp_path / "nothing"))
    assert str(tmp_path / "nothing") in str(caught.value)
    with pytest.raises(PolicyNotFound, match="the folder has none"):
        load(str(tmp_path))


def test_a_policy_is_written_in_half_the_bytes(tiny_policy, tmp_path):
    write_as(tiny_policy, tmp_path / "half", "float16")
    stored = load_file(tmp_path / "half" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    whole, half = load_policy(tiny_policy), load_policy(str(tmp_path / "half"), "float32")
    torch.testing.assert_close(half.lm_head.weight, whole.lm_head.weight, atol=1e-3, rtol=1e-3)
    assert (
        load_tokenizer(str(tmp_path / "half")).get_vocab()
        == load_tokenizer(tiny_policy).get_vocab()
    )


def test_weights_may_be_read_by_whom_the_rest_may_be_read(tiny_policy):
    folder = Path(tiny_policy)
    modes = {path.stat().st_mode for path in folder.iterdir()}
    assert len(modes) == 1, {path.name: oct(path.stat().st_mode) for path in folder.iterdir()}

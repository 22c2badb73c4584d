from dataclasses import replace

import numpy as np
import pytest

from redline.actors.errors import WeightMismatch
from redline.actors.manifest import ExpectedTensor, check_update, checksum
from redline.replay.records import Probe, TensorSpec, WeightUpdate

EXPECTED = (
    ExpectedTensor(name="embed", shape=(4, 2), dtype="float32"),
    ExpectedTensor(name="head", shape=(3,), dtype="bfloat16"),
)
PROBE = Probe(token_ids=np.zeros(2, dtype=np.int32), logprobs=np.zeros(1, dtype=np.float32))


def spec(name="embed", shape=(4, 2), dtype="float32", offset=0, nbytes=32) -> TensorSpec:
    return TensorSpec(name=name, shape=shape, dtype=dtype, offset=offset, nbytes=nbytes)


HEAD = spec("head", (3,), "bfloat16", 32, 6)


def update(*specs: TensorSpec, size: int = 38) -> WeightUpdate:
    payload = np.arange(size, dtype=np.uint8)
    return WeightUpdate(
        version=9, manifest=specs, payload=payload, checksum=checksum(payload), probe=PROBE
    )


def test_the_expected_update_is_accepted_in_any_order():
    check_update(update(spec(), HEAD), EXPECTED)
    check_update(update(HEAD, spec()), EXPECTED)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (update(spec()), "1 tensors are missing, such as head"),
        (update(spec(), HEAD, spec("extra")), "1 tensors are unknown, such as extra"),
        (update(spec(), spec(), HEAD), "twice"),
        (update(spec(shape=(2, 4)), HEAD), r"embed: got shape \(2, 4\), expected \(4, 2\)"),
        (update(spec(dtype="bfloat16", nbytes=16), HEAD), "got dtype bfloat16, expected float32"),
        (update(spec(nbytes=28), HEAD), "embed: got 28 bytes, expected 32"),
        (update(spec(), HEAD, size=36), "head: bytes 32 to 38 lie outside"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_was_touched(given, message):
    with pytest.raises(WeightMismatch, match=message) as caught:
        check_update(given, EXPECTED)
    assert not caught.value.poisoned
    assert "version 9" in str(caught.value)


def test_a_flipped_bit_is_found():
    good = update(spec(), HEAD)
    payload = good.payload.copy()
    payload[17] ^= 1
    with pytest.raises(WeightMismatch, match="checksum"):
        check_update(replace(good, payload=payload), EXPECTED)


def test_a_probe_without_a_score_for_each_token_is_refused():
    good = update(spec(), HEAD)
    probe = replace(PROBE, logprobs=np.zeros(2, dtype=np.float32))
    with pytest.raises(WeightMismatch, match="2 tokens and 2 log-probabilities"):
        check_update(replace(good, probe=probe), EXPECTED)

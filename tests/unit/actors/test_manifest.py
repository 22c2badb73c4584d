from dataclasses import replace

import numpy as np
import pytest

from redline.actors.errors import WeightMismatch
from redline.actors.manifest import ExpectedTensor, check_update, checksum
from redline.replay.records import BucketSpec, LowRankSpec, Probe, TensorSpec, WeightUpdate

EXPECTED = (
    ExpectedTensor(name="embed", shape=(4, 2)),
    ExpectedTensor(name="head", shape=(3,)),
)
PROBE = Probe(token_ids=np.zeros(2, dtype=np.int32), logprobs=np.zeros(1, dtype=np.float32))


def spec(name="embed", shape=(4, 2), dtype="float32", offset=0, nbytes=32, bucket=0) -> TensorSpec:
    return TensorSpec(
        name=name, shape=shape, dtype=dtype, bucket=bucket, offset=offset, nbytes=nbytes
    )


HEAD = spec("head", (3,), "bfloat16", 0, 6, bucket=1)
SIZES = (32, 6)


def buckets(sizes=SIZES) -> list[np.ndarray]:
    return [np.arange(size, dtype=np.uint8) for size in sizes]


def update(*specs: TensorSpec, sizes=SIZES, adapter=()) -> WeightUpdate:
    return WeightUpdate(
        version=9,
        transport="object_store",
        manifest=specs,
        buckets=tuple(BucketSpec(nbytes=b.size, checksum=checksum(b)) for b in buckets(sizes)),
        adapter=adapter,
        probe=PROBE,
    )


def test_the_expected_update_is_accepted_in_any_order_of_a_bucket():
    check_update(update(spec(), HEAD), buckets(), EXPECTED)
    inner = spec("head", (3,), "bfloat16", 32, 6)
    one = (38,)
    check_update(update(inner, spec(), sizes=one), buckets(one), EXPECTED)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (update(spec()), "1 tensors are missing, such as head"),
        (update(spec(), HEAD, spec("extra", bucket=1)), "1 tensors are unknown, such as extra"),
        (update(spec(), spec(), HEAD), "twice"),
        (update(HEAD, spec()), "not in the order of the buckets"),
        (update(spec(shape=(2, 4)), HEAD), r"embed: got shape \(2, 4\), expected \(4, 2\)"),
        (update(spec(dtype="int8", nbytes=8), HEAD), "got dtype int8, expected one of float32, b"),
        (update(spec(dtype="bfloat16"), HEAD), "embed: got 32 bytes, expected 16"),
        (update(spec(nbytes=28), HEAD), "embed: got 28 bytes, expected 32"),
        (update(spec(), HEAD, sizes=(32, 4)), "head: bytes 0 to 6 do not lie in .* bucket 1 of 4"),
        (
            update(spec(offset=2), HEAD, sizes=(34, 6)),
            "embed: bytes 2 to 34 do not lie in elements",
        ),
        (update(HEAD, spec(bucket=2)), "embed: got bucket 2 of 2 buckets"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_was_touched(given, message):
    with pytest.raises(WeightMismatch, match=message) as caught:
        check_update(given, buckets([b.nbytes for b in given.buckets]), EXPECTED)
    assert not caught.value.poisoned
    assert "version 9" in str(caught.value)


def test_a_flipped_bit_is_found():
    contents = buckets()
    contents[1][3] ^= 1
    with pytest.raises(WeightMismatch, match="bucket 1: got checksum"):
        check_update(update(spec(), HEAD), contents, EXPECTED)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (buckets()[:1], "got 1 buckets, expected 2"),
        (buckets((32, 5)), "bucket 1: got 5 bytes, expected 6"),
        ([buckets()[0].view(np.int32), buckets()[1]], "bucket 0: got int32"),
    ],
)
def test_buckets_that_are_not_what_was_announced_are_refused(contents, message):
    with pytest.raises(WeightMismatch, match=message):
        check_update(update(spec(), HEAD), contents, EXPECTED)


def test_of_what_does_not_pass_through_the_host_no_bytes_are_compared():
    shared = replace(update(spec(), HEAD), transport="ipc")
    check_update(shared, [b"one", b"two"], EXPECTED)
    with pytest.raises(WeightMismatch, match="got 1 buckets"):
        check_update(shared, [b"one"], EXPECTED)
    check_update(replace(shared, transport="nccl"), [b"seat"], EXPECTED)


DOWN = spec("e.A", (1, 2), nbytes=8)
UP = spec("e.B", (4, 1), offset=8, nbytes=16)
CHANGE = LowRankSpec(weight="embed", down="e.A", up="e.B", scale=2.0)


def check_adapter(*specs: TensorSpec, change=CHANGE) -> None:
    check_update(update(*specs, sizes=(64,), adapter=(change,)), buckets((64,)), EXPECTED)


def test_an_adapter_fits_the_weights_that_it_changes():
    check_adapter(DOWN, UP)
    swapped = replace(CHANGE, transposed=True)
    check_adapter(
        spec("e.A", (1, 4), nbytes=16), spec("e.B", (2, 1), offset=16, nbytes=8), change=swapped
    )
    half = spec("e.A", (1, 2), "bfloat16", nbytes=4), spec("e.B", (4, 1), "bfloat16", 8, 8)
    check_adapter(*half)


@pytest.mark.parametrize(
    ("specs", "change", "message"),
    [
        ((DOWN,), CHANGE, "1 tensors are missing, such as e.B"),
        ((DOWN, UP, spec(offset=32)), CHANGE, "1 tensors are unknown, such as embed"),
        ((DOWN, spec("e.B", (4, 2), offset=8)), CHANGE, r"e.B: got shape \(4, 2\), expected"),
        ((spec("e.A", (1, 3), nbytes=12), UP), CHANGE, r"e.A: got shape \(1, 3\), expected"),
        ((DOWN, UP), replace(CHANGE, weight="nowhere"), "changes nowhere, which is no matrix"),
        ((DOWN, UP), replace(CHANGE, weight="head"), "changes head, which is no matrix"),
        ((spec("e.A", (1, 2), "int8", nbytes=2), UP), CHANGE, "e.A: got dtype int8"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(specs, change, message):
    with pytest.raises(WeightMismatch, match=message) as caught:
        check_adapter(*specs, change=change)
    assert not caught.value.poisoned


def test_a_probe_without_a_score_for_each_token_is_refused():
    good = update(spec(), HEAD)
    probe = replace(PROBE, logprobs=np.zeros(2, dtype=np.float32))
    with pytest.raises(WeightMismatch, match="2 tokens and 2 log-probabilities"):
        check_update(replace(good, probe=probe), buckets(), EXPECTED)

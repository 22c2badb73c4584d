"""Values that cross from the candidate to the judge, and their equality there."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.sandbox.canonical import Incomparable, TooCostly, Work, canonical
from redline.sandbox.codec import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    DictValue,
    MalformedValue,
    Opaque,
    SetValue,
    ValueTooLarge,
    decode,
    encode,
)
from redline.sandbox.compile import compile_test
from redline.sandbox.describe import show
from redline.sandbox.judge import equal, judge_value
from redline.sandbox.records import TestStatus

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.text(st.characters(categories=["Cs", "Ll"]))
    | st.binary()
    | st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.sampled_from([-3, -1, 1, 2]))
)
HASHABLE = st.recursive(
    SCALARS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=6
)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.sets(HASHABLE, max_size=4)
        | st.dictionaries(HASHABLE, inner, max_size=4)
    ),
    max_leaves=12,
)


def plain(value):
    """The builtin value that a decoded one stands for."""
    if isinstance(value, SetValue):
        items = [plain(item) for item in value.items]
        return frozenset(items) if value.frozen else set(items)
    if isinstance(value, DictValue):
        return {plain(key): plain(item) for key, item in value.items}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value


@given(VALUES)
def test_decoding_gives_back_what_was_encoded(value):
    result = plain(decode(encode(value, 1 << 20)))
    assert type(result) is type(value)
    assert repr(result) == repr(value) or result == value


@given(VALUES, VALUES)
def test_equality_is_that_of_python(left, right):
    assert equal(decode(encode(left, 1 << 20)), right) == (left == right)
    assert equal(decode(encode(left, 1 << 20)), left)


@given(st.integers(-3, 3) | st.floats(-3, 3), st.integers(-3, 3) | st.booleans())
def test_numbers_are_equal_by_value(left, right):
    for wrap in (lambda x: x, lambda x: [x], lambda x: {x}, lambda x: {x: x}, lambda x: (x, {x})):
        assert equal(wrap(left), wrap(right)) == (wrap(left) == wrap(right))


@given(st.binary(max_size=80))
def test_decoding_any_bytes_gives_a_value_or_malformed(data):
    try:
        value = decode(data)
    except MalformedValue:
        return
    assert len(show(value)) <= 80
    equal(value, value)


@given(VALUES, st.data())
def test_a_cut_or_changed_encoding_never_raises_otherwise(value, data):
    encoded = bytearray(encode(value, 1 << 20))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    for candidate in (bytes(encoded), bytes(encoded[:at])):
        try:
            decode(candidate)
        except MalformedValue:
            continue


@given(VALUES)
def test_showing_a_value_is_python_when_it_is_short(value):
    shown = show(decode(encode(value, 1 << 20)), limit=10_000)
    if not isinstance(value, set | frozenset | dict) and "{" not in shown:
        assert shown == repr(value)


class Strange(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize("value", [Strange(3), object(), len, iter([]), type, NotImplemented, ...])
def test_other_types_are_opaque_and_equal_to_nothing(value):
    decoded = decode(encode([value], 1000))
    assert decoded == [Opaque(type_name=type(value).__name__)]
    assert not equal(decoded, decoded)
    assert not equal(decode(encode(value, 1000)), 3)


def test_nan_equals_nothing():
    nan = float("nan")
    assert not equal(decode(encode(nan, 100)), nan)
    assert not equal([nan], [nan])
    with pytest.raises(Incomparable):
        canonical(complex(nan, 1), Work())


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [nested(MAX_DEPTH + 1), [0] * (MAX_ELEMENTS + 1), "x" * 2_000, 1 << 20_000, {"x" * 2_000: 1}],
    ids=["deep", "many", "long", "large integer", "long key"],
)
def test_too_large_a_value_is_refused(value):
    with pytest.raises(ValueTooLarge):
        encode(value, 1_000)
    assert decode(encode(nested(MAX_DEPTH), 1_000)) == nested(MAX_DEPTH)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"i",
        b"i\x05\0\0\0\x01",
        b"?\0\0\0\0",
        b"N\0\0\0\0N\0\0\0\0",
        b"l\xff\xff\xff\xff",
        b"d\x01\0\0\0N\0\0\0\0",
        b"f\x01\0\0\0\0",
        b"s\x01\0\0\0\xff",
        b"r\x03\0\0\0" + b"i\x01\0\0\0\0" * 3,
        b"r\x03\0\0\0" + b"N\0\0\0\0" * 3,
        b"l\x01\0\0\0" * 5_000,
    ],
)
def test_malformed_encodings_are_refused(data):
    with pytest.raises(MalformedValue):
        decode(data)


def test_integers_of_one_hash_do_not_keep_the_judge_busy():
    """20,000 multiples of 2**61 - 1 all hash to 0: a set of them takes seconds to build."""
    encoded = encode([n * (2**61 - 1) for n in range(20_000)], 1 << 20)
    as_set = b"S" + encoded[1:]
    started = time.process_time()
    decoded = decode(as_set)
    assert equal(decoded, decoded)
    assert len(show(decoded)) == 80
    assert time.process_time() - started < 1.0


def test_sets_are_shown_in_a_fixed_order():
    assert show(SetValue(items=(3, 1, 2), frozen=False)) == "{1, 2, 3}"
    assert show(SetValue(items=("b", "a"), frozen=True)) == "frozenset({'a', 'b'})"
    assert show(SetValue(items=(), frozen=False)) == "set()"
    assert show(DictValue(items=(("a", (1,)),))) == "{'a': (1,)}"
    assert show(Opaque(type_name="Foo")) == "a Foo object"
    assert show(1 << 99_999) == "an integer of 100000 bits"


def test_ranges_are_equal_by_their_sequence():
    assert equal(range(0), range(5, 5))
    assert equal(range(0, 3, 2), range(0, 4, 2))
    assert equal(range(10**30), range(10**30))
    assert not equal(range(3), [0, 1, 2])


def test_a_comparison_has_a_bound_that_no_result_within_its_limits_meets_by_chance():
    """The deepest set of the most elements fits; the same with a thousand levels more would not."""
    value = frozenset(range(40_000))
    for _ in range(MAX_DEPTH - 1):
        value = frozenset({value, 0})
    decoded = decode(encode(value, 1 << 20))
    started = time.process_time()
    assert equal(decoded, value)
    assert len(show(decoded)) == 80
    assert time.process_time() - started < 3.0
    with pytest.raises(TooCostly):
        equal(decoded, value, Work(1 << 20))


def test_too_costly_a_comparison_is_a_status(monkeypatch):
    monkeypatch.setattr("redline.sandbox.judge.Work", lambda: Work(10_000))
    test = compile_test("assert f(1) == [1]", "f")
    result = judge_value(test, list(range(5_000)))
    assert result.status is TestStatus.OUTPUT
    assert result.detail == result.detail_blind == "too costly a result to compare: f(1)"

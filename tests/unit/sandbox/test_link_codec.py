"""Arguments and results between candidate and judge child: aliases, changes, and hostile bytes."""

import collections
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redline.sandbox.codec import MalformedValue, ValueTooLarge
from redline.sandbox.link_codec import MAX_SAME_HASH, LinkDecoder, LinkEncoder, write_back

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.integers(-9, 9) | st.text(max_size=3) | st.tuples(st.booleans(), st.binary(max_size=2))
VALUES = st.recursive(
    SCALARS | st.binary() | st.builds(bytearray, st.binary()) | st.builds(range, st.integers(0, 9)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.sets(KEYS, max_size=3)
        | st.frozensets(KEYS, max_size=3)
        | st.builds(collections.deque, st.lists(inner, max_size=3))
        | st.builds(collections.OrderedDict, st.dictionaries(KEYS, inner, max_size=3))
        | st.builds(collections.Counter, st.text(max_size=5))
        | st.builds(collections.defaultdict, st.just(list), st.dictionaries(KEYS, inner))
    ),
    max_leaves=12,
)


def refuse(value):
    raise TypeError(type(value).__name__)


def encoder(shared=None, max_bytes=1 << 20, max_elements=10_000):
    return LinkEncoder(refuse, max_bytes, max_elements, shared)


def there(value):
    """A value and the shared containers, as the other side has them."""
    sent = encoder()
    sent.add(value)
    decoder = LinkDecoder(bytes(sent.out), refuse, 10_000)
    received = decoder.value()
    decoder.finish()
    assert len(decoder.shared) == len(sent.shared)
    return received, decoder.shared, sent.shared


def back(changed, shared):
    """The changed containers, written into ours."""
    answer = encoder(changed)
    for container in changed:
        answer.add_content(container)
    decoder = LinkDecoder(bytes(answer.out), refuse, 10_000, shared)
    contents = decoder.contents()
    decoder.finish()
    write_back(shared, contents)


def same(left, right):
    return (type(left) is type(right) and repr(left) == repr(right)) or left == right


@settings(max_examples=40)
@given(VALUES)
def test_a_value_arrives_as_it_is(value):
    received, _, _ = there(value)
    assert type(received) is type(value)
    assert same(received, value)


@settings(max_examples=40)
@given(st.lists(VALUES, min_size=1, max_size=3), st.data())
def test_aliases_stay_aliases(values, data):
    picks = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=5))
    received, _, _ = there([values[pick] for pick in picks])
    mutable = (list, dict, set, collections.deque, bytearray)
    for at, pick in enumerate(picks):
        first = picks.index(pick)
        if isinstance(values[pick], mutable):
            assert received[at] is received[first]


@settings(max_examples=40)
@given(VALUES, st.lists(st.integers(0, 9), max_size=3))
def test_what_became_of_the_arguments_comes_back_in_place(value, picks):
    arguments = [value, [value]]
    _, theirs, ours = there(arguments)
    for pick in picks:
        change(theirs[pick % len(theirs)])
    back(theirs, ours)
    assert ours[0] is arguments
    assert [type(each) for each in ours] == [type(each) for each in theirs]
    assert all(same(left, right) for left, right in zip(ours, theirs, strict=True))


def change(container):
    if isinstance(container, list):
        container.reverse()
        container.append([container[:1], {"new": 1}])
    elif isinstance(container, dict):
        container["new"] = 1
    elif isinstance(container, set):
        container.add("new")
    elif isinstance(container, collections.deque):
        container.appendleft(1)
    else:
        container.extend(b"new")


def test_a_list_that_holds_itself_crosses_and_may_come_back():
    value = [1]
    value.append(value)
    received, theirs, ours = there([value, {}])
    assert received[0][1] is received[0]
    received[1]["loop"] = received[1]
    back(theirs, ours)
    assert ours[2]["loop"] is ours[2]


def test_the_table_is_that_of_both_sides():
    shared = [1, 2]
    received, theirs, ours = there((shared, [shared], shared))
    assert received[0] is received[1][0] is received[2]
    received[0].append(3)
    back(theirs, ours)
    assert shared == [1, 2, 3]


def test_a_result_is_a_tree_but_for_the_arguments():
    """A list of itself twice, sixty times over, is refused and not followed."""
    argument = [0]
    result = [argument, argument]
    answer = encoder([argument])
    answer.add(result)
    decoder = LinkDecoder(bytes(answer.out), refuse, 100, ours := [[7]])
    assert decoder.value() == [[7], [7]]
    assert ours == [[7]]
    for _ in range(60):
        result = [result, result]
    with pytest.raises(ValueTooLarge):
        encoder([argument]).add(result)


@pytest.mark.parametrize(
    "value",
    [[0] * 10_001, "x" * (1 << 21), {"x" * (1 << 21): 1}, bytearray(1 << 21)],
    ids=["many", "long", "long key", "bytes"],
)
def test_too_large_a_value_is_refused(value):
    with pytest.raises(ValueTooLarge):
        encoder().add(value)


@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_malformed(data):
    decoder = LinkDecoder(data, malformed, 100)
    try:
        decoder.value()
    except MalformedValue:
        return


def malformed(reference):
    raise MalformedValue(str(reference)[:20])


@settings(max_examples=40)
@given(VALUES, st.data())
def test_a_changed_encoding_never_raises_otherwise(value, data):
    sent = encoder()
    sent.add([value])
    encoded = bytearray(sent.out)
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    decoder = LinkDecoder(bytes(encoded), malformed, 1_000)
    try:
        decoder.value()
        decoder.finish()
    except MalformedValue:
        pass


@pytest.mark.parametrize("tag", [b"S", b"z", b"d"])
def test_no_container_is_filled_with_elements_of_one_hash(tag):
    """20,000 multiples of 2**61 - 1 hash to 0; building a set of them takes seconds."""
    numbers = encoder(max_elements=50_000)
    for n in range(20_000):
        numbers.add(n * (2**61 - 1))
        if tag == b"d":
            numbers.add(None)
    count = numbers.elements.to_bytes(4, "little")
    started = time.process_time()
    with pytest.raises(MalformedValue, match="one hash"):
        LinkDecoder(tag + count + bytes(numbers.out), refuse, 50_000).value()
    assert time.process_time() - started < 2.0


def test_a_few_elements_of_one_hash_are_right():
    value = {n * (2**61 - 1) for n in range(MAX_SAME_HASH)}
    received, _, _ = there(value)
    assert received == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"@\0\0\0\0",
        b"l\xff\xff\xff\xff",
        b"S\x01\0\0\0l\0\0\0\0",
        b"d\x01\0\0\0N\0\0\0\0",
        b"d\x02\0\0\0l\0\0\0\0N\0\0\0\0",
        b"D\0\0\0\0",
        b"D\x01\0\0\0s\x04\0\0\0eval",
        b"z\x01\0\0\0S\0\0\0\0",
        b"x",
        b"l\x01\0\0\0" * 500,
    ],
)
def test_malformed_bytes_are_refused(data):
    with pytest.raises(MalformedValue):
        LinkDecoder(data, malformed, 1_000).value()

"""SequenceSet behaves as a set of integers."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.replay.sequences import SequenceSet

RANGES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 6)).map(lambda r: (r[0], r[0] + r[1])), max_size=12
)


def expand(ranges):
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(RANGES, RANGES)
def test_it_equals_a_plain_set(ranges, more):
    sequences = SequenceSet(ranges)
    other = SequenceSet(more)
    copy = sequences.copy()
    sequences.update(other)
    expected = expand(ranges) | expand(more)
    assert list(sequences) == sorted(expected)
    assert len(sequences) == len(expected)
    assert {n for n in range(60) if n in sequences} == expected
    assert sequences == SequenceSet.of(expected)
    assert list(copy) == sorted(expand(ranges))


@given(RANGES)
def test_ranges_are_disjoint_rising_and_not_touching(ranges):
    result = SequenceSet(ranges).ranges()
    assert all(b_first > a_last + 1 for (_, a_last), (b_first, _) in pairwise(result))


@pytest.mark.parametrize("bad", [(3, 2), (-1, 4)])
def test_impossible_ranges_are_refused(bad):
    with pytest.raises(ValueError, match="expected 0 <= first <= last"):
        SequenceSet([bad])

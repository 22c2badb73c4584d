"""Samples divided over ranks."""

from hypothesis import given
from hypothesis import strategies as st

from redline.learner.ranks import Ranks, divide


def shares(groups, tokens, size):
    return divide(Ranks(rank=0, size=size), groups, tokens).shares


@given(
    samples=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 500)), min_size=1),
    size=st.integers(1, 6),
)
def test_every_sample_has_one_rank_and_no_rank_has_much_too_much(samples, size):
    groups, tokens = [g for g, _ in samples], [n for _, n in samples]
    found = shares(groups, tokens, size)
    assert len(found) == size
    assert sorted(i for share in found for i in share) == list(range(len(samples)))
    assert all(list(share) == sorted(share) for share in found)
    heaviest = max(sum(tokens[i] for i in share) for share in found)
    mean = sum(tokens) / size
    assert heaviest <= max(1.25 * mean, mean + max(tokens))


def test_groups_stay_whole_where_that_is_even():
    groups = [name for name in "abcd" for _ in range(4)]
    for share in shares(groups, [10] * 16, 2):
        assert len({groups[i] for i in share}) == 2


def test_a_single_group_is_cut():
    assert shares(["a"] * 4, [10, 10, 10, 10], 2) == [[0, 1], [2, 3]]


def test_a_rank_may_have_nothing():
    assert sorted(shares(["a"], [10], 3)) == [[], [], [0]]

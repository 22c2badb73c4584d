"""Micro-batches: every sequence once, never above the budget, nothing misplaced."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.learner.batches.packing import (
    SequenceTooLong,
    gather_wanted,
    pad_batch,
    plan_micro_batches,
)


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(50, 200))
def test_plan_uses_each_sequence_once_within_the_budget(lengths, budget):
    plan = plan_micro_batches(lengths, budget)
    assert sorted(i for part in plan for i in part) == list(range(len(lengths)))
    for part in plan:
        assert len(part) * max(lengths[i] for i in part) <= budget


def test_similar_lengths_go_together():
    assert plan_micro_batches([10, 1, 10, 1], 20) == [[0, 2], [1, 3]]


def test_a_sequence_above_the_budget_is_refused():
    with pytest.raises(SequenceTooLong, match=r"sequence 1 has 21 tokens.*budget of 20"):
        plan_micro_batches([3, 21], 20)


def test_padding_keeps_tokens_and_places():
    ids = [np.array([5, 6, 7], np.int32), np.array([8, 9], np.int32)]
    wanted = [np.array([False, True, True]), np.array([False, True])]
    batch = pad_batch(ids, wanted)
    assert batch.input_ids.tolist() == [[5, 6, 7], [8, 9, 0]]
    assert batch.sequence.tolist() == [0, 0, 1]
    assert batch.targets.tolist() == [1, 2, 4]
    assert batch.sources.tolist() == [0, 1, 3]
    assert (batch.num_tokens, batch.num_wanted) == (5, 3)
    gathered = gather_wanted([np.array([0.0, 1, 2]), np.array([3.0, 4])], wanted)
    assert gathered.tolist() == [1, 2, 4]


def test_a_wanted_first_token_is_refused():
    with pytest.raises(ValueError, match="first token"):
        pad_batch([np.array([1, 2])], [np.array([True, False])])


def test_lengths_that_disagree_are_refused():
    with pytest.raises(ValueError, match="sequence 0 has 2 tokens and 3 marks"):
        pad_batch([np.array([1, 2])], [np.array([False, True, True])])

"""Waiting lines served in turn."""

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.sandbox.fair_queue import FairQueue


def test_a_single_request_does_not_wait_behind_a_flood():
    queue: FairQueue[str] = FairQueue()
    for number in range(1_000):
        queue.push("flood", f"flood {number}")
    queue.push("other", "single")
    assert [queue.pop(), queue.pop()] == ["flood 0", "single"]


def test_nothing_comes_from_an_empty_queue():
    with pytest.raises(IndexError, match="nothing waits"):
        FairQueue().pop()


@given(st.lists(st.one_of(st.none(), st.sampled_from("abc")), max_size=60))
def test_each_client_is_served_in_its_order_and_none_twice_while_another_waits(actions):
    """`None` takes an item, a letter is a client that hands one in."""
    queue: FairQueue[tuple[str, int]] = FairQueue()
    handed: dict[str, int] = collections.Counter()
    waiting: dict[str, collections.deque[int]] = collections.defaultdict(collections.deque)
    passed_over: dict[str, set[str]] = collections.defaultdict(set)
    for action in actions:
        if action is not None:
            queue.push(action, (action, handed[action]))
            waiting[action].append(handed[action])
            handed[action] += 1
        elif len(queue):
            client, number = queue.pop()
            assert number == waiting[client].popleft()
            passed_over[client].clear()
            for other in (each for each in "abc" if each != client and waiting[each]):
                assert client not in passed_over[other], "served twice while another waited"
                passed_over[other].add(client)
    assert len(queue) == sum(len(line) for line in waiting.values())

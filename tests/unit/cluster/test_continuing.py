"""Which groups of an earlier attempt go on with the turns they have."""

import asyncio

import cluster_fakes as fakes
import pytest

from redline.cluster.loop.continuing import BegunGroups, oldest_version
from redline.cluster.loop.credits import Credits


class Store:
    def __init__(self, *versions):
        self.versions = versions

    async def waiting_versions(self):
        return self.versions


def going_on(stored, begun, *, version=5):
    """Oldest versions of the groups that go on, given those that are stored and were begun."""
    credits = Credits(max_staleness=1, groups_per_step=2)
    groups = BegunGroups(
        fakes.make_partial(f"g{n}", "t0", versions) for n, versions in enumerate(begun)
    )
    asyncio.run(groups.settle(Store(*stored), credits, version))
    return sorted(group.versions[0] for group in groups.waiting)


@pytest.mark.parametrize(
    ("stored", "begun", "expected"),
    [
        ((), [[4], [4, 5], [5], [5]], [4, 4, 5, 5]),
        ((), [[4], [4], [4]], [4, 4]),  # the next step takes two
        ((4, 4), [[4], [5]], [5]),
        ((5, 5, 5), [[4], [5]], [5]),  # the youngest first: there is room for one
        ((), [[3, 5], [5, 6]], []),  # too old, and of weights that are not there yet
        ((3, 3, 3, 3), [[4], [5]], [4, 5]),  # what is stored and too old takes no room
        ((-1, -1), [[4], [5]], [5]),  # groups without a token are lent first
    ],
)
def test_no_more_go_on_than_can_be_trained_in_time(stored, begun, expected):
    assert going_on(stored, begun) == expected


def test_a_group_goes_on_only_at_the_version_that_was_looked_at():
    credits = Credits(max_staleness=1, groups_per_step=2)
    groups = BegunGroups(fakes.make_partial(f"g{n}", "t0", [4]) for n in range(2))
    asyncio.run(groups.settle(Store(), credits, 5))
    assert oldest_version(groups.take("g0", 5), 5) == 4
    assert groups.take("g1", 6) is None
    assert len(groups) == 0
    assert oldest_version(None, 6) == 6

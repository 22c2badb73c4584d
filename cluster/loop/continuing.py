"""Groups that an earlier attempt at a run had begun, until they are taken up again."""

from collections.abc import Iterable, Iterator

from redline.cluster.loop.credits import Credits
from redline.cluster.loop.ports import Store
from redline.cluster.loop.task_order import group_id
from redline.replay.records import DropReason, PartialGroup, TrajectoryGroup

BEGIN_AGAIN, DROP = "begin_again", "drop"
TOO_OLD = (BEGIN_AGAIN, DROP)
"""What becomes of a begun group whose tokens no step may train on any more."""


class BegunGroups:
    """Each is taken up once, by its own number in the order of tasks."""

    def __init__(self, groups: Iterable[PartialGroup] = (), *, too_old: str = BEGIN_AGAIN) -> None:
        self._waiting = {group.group_id: group for group in groups}
        self._drops = too_old == DROP
        self._dropped: set[str] = set()
        self._settled_at: int | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> tuple[PartialGroup, ...]:
        """Those that were not taken up yet."""
        return tuple(self._waiting.values())

    async def settle(self, store: Store, credits: Credits, version: int) -> None:
        """Part with those that steps from `version` on could not train on in time.

        They are dropped for good and counted by the store, or begun again without their turns.
        """
        self._settled_at = version
        floor = credits.min_version(version)
        stored = await store.waiting_versions()
        # Groups without any token come first in line; those that are too old take no step's room.
        outstanding = [max(floor, oldest) for oldest in stored if oldest < 0 or oldest >= floor]
        youngest_first = sorted(self._waiting.values(), key=_oldest, reverse=True)
        for group in youngest_first:
            told = group.versions
            with_it = [*outstanding, _oldest(group)]
            if told and told[1] <= version and credits.all_in_time(with_it, version):
                outstanding = with_it
                continue
            del self._waiting[group.group_id]
            if self._drops:
                await self._drop(group, store)

    async def _drop(self, group: PartialGroup, store: Store) -> None:
        self._dropped.add(group.group_id)
        whole = TrajectoryGroup(
            group_id=group.group_id, task_id=group.task_id, trajectories=group.trajectories
        )
        await store.discard(whole, DropReason.STALE)

    def next_number(self, numbers: Iterator[int]) -> int:
        """The next number whose group was not dropped."""
        return next(number for number in numbers if group_id(number) not in self._dropped)

    def take(self, name: str, version: int) -> PartialGroup | None:
        """The turns that a group has; None once the version is not that of `settle` any more."""
        group = self._waiting.pop(name, None)
        return group if version == self._settled_at else None


def oldest_version(begun: PartialGroup | None, version: int) -> int:
    """Lowest version of a group that starts at `version`."""
    return version if begun is None else _oldest(begun)


def _oldest(group: PartialGroup) -> int:
    return -1 if group.versions is None else group.versions[0]

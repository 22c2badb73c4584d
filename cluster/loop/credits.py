"""Who may start, and when a batch may be taken: the rules that bound staleness.

A group takes a credit when it starts and gives it back when the weights that it trained have been
pushed. There are `(max_staleness + 1) * groups_per_step` credits. Batches are leased oldest first,
and a batch waits until the groups still in flight fit into the batches that come in time for them:
at version v, for each k, no more than `k * groups_per_step` groups in flight may have to be trained
by version v + k. By counting, what is outstanding then always fits: no token older than
`max_staleness` versions is trained on, and no group, however long, is dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Credits:
    """The ledger of groups that are in flight, stored or being trained on."""

    max_staleness: int
    groups_per_step: int
    stored: int = 0
    """Groups in the store that have a credit: those that no step was trained on, without the ones
    that the present step replaces."""
    held: int = 0
    """Of those, the ones that are leased for the present step."""
    in_flight: dict[str, int] = field(default_factory=dict)
    """Weight version at the start, by group id."""

    @property
    def limit(self) -> int:
        """Most groups that may be outstanding."""
        return (self.max_staleness + 1) * self.groups_per_step

    @property
    def free(self) -> int:
        """Groups that may start now; 0 when a resumed store holds more than the limit."""
        return max(0, self.limit - self.stored - len(self.in_flight))

    @property
    def excess(self) -> int:
        """Groups above the limit that a resumed store may hold: those that a step was being topped
        up with when the run ended. Its next batch has to take them too.
        """
        return max(0, self.stored + len(self.in_flight) - self.limit)

    def start(self, group_id: str, version: int) -> None:
        """Take a credit for a group that starts at `version`."""
        if self.free < 1 or group_id in self.in_flight:
            raise RuntimeError(f"group {group_id} started without a free credit")
        self.in_flight[group_id] = version

    def arrive(self, group_id: str) -> None:
        """A group in flight was stored."""
        del self.in_flight[group_id]
        self.stored += 1

    def lease(self, groups: int) -> None:
        """Stored groups were leased for the present step."""
        self.held += groups

    def replace(self, more: int) -> None:
        """Free credits of leased groups that teach nothing, so that `more` others may join them."""
        freed = self.held + more - self.groups_per_step
        self.stored -= freed
        self.held -= freed

    def consume(self) -> None:
        """The leased groups were trained on: give back their credits."""
        self.stored -= self.held
        self.held = 0

    def min_version(self, version: int) -> int:
        """Oldest weights that a step at `version` may train on."""
        return version - self.max_staleness

    def batch_ready(self, version: int, more: int | None = None) -> bool:
        """Whether the step at `version` may lease its groups, or `more` of them."""
        wanted = self.groups_per_step if more is None else more
        return self.stored - self.held >= wanted and all(
            self._due_by(version + later) <= later * self.groups_per_step
            for later in range(self.max_staleness + 1)
        )

    def all_in_time(self, versions: Sequence[int], version: int) -> bool:
        """Whether groups with these oldest versions can all be trained on from `version` on."""
        return all(
            sum(oldest <= self.min_version(version + later) for oldest in versions)
            <= (later + 1) * self.groups_per_step
            for later in range(self.max_staleness + 1)
        ) and all(oldest >= self.min_version(version) for oldest in versions)

    def _due_by(self, version: int) -> int:
        """Groups in flight that have to be trained at `version` or before."""
        oldest = self.min_version(version)
        return sum(start <= oldest for start in self.in_flight.values())

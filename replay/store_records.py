"""Records that the store hands out: leases and its figures."""

from dataclasses import dataclass

from redline.replay.records import DropCount, TrajectoryGroup


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lease:
    """Groups lent for training until they are committed or released, oldest weights first."""

    lease_id: str
    groups: tuple[TrajectoryGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStats:
    """How many groups a store holds, and in which state."""

    buffered: int
    """Groups accepted but not sealed: a crash loses them."""
    available: int
    leased: int
    committed: int
    """Groups trained on since the store was made, retired ones included."""
    dropped_groups: int
    dropped: tuple[DropCount, ...]
    """Trajectories dropped, by reason."""
    retired: int
    """Groups whose segments retention deleted."""
    trajectories: int
    """Trajectories in sealed segments."""
    segments: int
    nbytes: int
    """Size of all sealed segments."""
    quarantined: tuple[str, ...]
    """Files that were found corrupt and put aside."""
    lost: tuple[str, ...]
    """Groups of damaged or missing files that were not trained on; they may be appended again."""

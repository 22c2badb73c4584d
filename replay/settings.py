"""Settings of the replay store, composed into the run configuration by `redline.cluster.config`."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class ReplaySettings:
    """How groups are sealed, lent and kept."""

    groups_per_segment: int = 4
    """Groups that become durable together; 1 makes every append durable at once."""
    lease_seconds: float = 3600.0
    """Time after which a lease that was neither committed nor released ends."""
    keep_committed: int = 1024
    """Trained groups that retention keeps on disk to be looked at."""

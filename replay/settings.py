"""Settings of the replay store, composed into the run configuration by `redline.cluster.config`."""

from dataclasses import dataclass

from redline.replay.sampling import Sampling, SamplingPolicy


@dataclass(kw_only=True)
class ReplaySettings:
    """How groups are sealed, lent and kept."""

    groups_per_segment: int = 4
    """Groups that become durable together; 1 makes every append durable at once."""
    lease_seconds: float = 3600.0
    """Time after which a lease that was neither committed nor released ends."""
    keep_committed: int = 1024
    """Trained groups that retention keeps on disk to be looked at."""
    sampling: str = "fifo"
    """Which waiting groups a step trains on: fifo, uniform or prioritized (by advantage)."""
    sampling_seed: int = 0
    """Seed of the draws of `uniform` and `prioritized`."""
    priority_exponent: float = 1.0
    """How strongly `prioritized` prefers groups whose rewards differ; 0 is uniform."""

    def sampling_policy(self) -> Sampling:
        """The three settings of sampling together; raises ValueError for an unknown policy."""
        return Sampling(
            policy=SamplingPolicy(self.sampling),
            seed=self.sampling_seed,
            exponent=self.priority_exponent,
        )

"""Settings of the replay store, composed into the run configuration by `redline.cluster.config`."""

from dataclasses import dataclass
from enum import StrEnum


class SamplingPolicy(StrEnum):
    """How a lease chooses among the groups that are waiting."""

    FIFO = "fifo"
    """Groups of the oldest weights, in the order of arrival among their like."""
    UNIFORM = "uniform"
    """Each with the same probability."""
    PRIORITIZED = "prioritized"
    """In proportion to (priority + 0.01) ** exponent; see `sampling.priority`."""


@dataclass(kw_only=True)
class ReplaySettings:
    """How groups are sealed, lent and kept."""

    root: str | None = None
    """Folder or URL (`s3://`, `gs://`, `abfss://`, whatever pyarrow or fsspec reach) in which the
    run's store lies under the run's name; null keeps it in the run directory."""
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


TRANSPORTS = ("object_store", "ipc", "nccl")


@dataclass(kw_only=True)
class WeightSettings:
    """How a new version of the weights gets from the learner to the samplers."""

    transport: str = "object_store"
    """`object_store`: through Ray, for any machines and devices; `ipc`: the samplers read the
    memory of the learner's GPU, which they share; `nccl`: between GPUs."""
    bucket_mib: int = 64
    """Tensors are gathered and sent in runs of this size; a larger one has a run of its own."""

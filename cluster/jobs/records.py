"""What is known of a job, and what is asked for when one is submitted."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

RUN = "redline_run"
RUN_ROOT = "redline_run_root"
STEPS = "redline_steps"
"""Keys of a job's metadata; Ray lists and shows them with it."""


class JobState(StrEnum):
    """Where a job is; the words are Ray's."""

    PENDING = "PENDING"
    """Its environment is being set up, or its entry point waits for a place."""
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    """By a user; a stopped run can be resumed."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @property
    def over(self) -> bool:
        """Whether it will not change any more."""
        return self in (JobState.STOPPED, JobState.SUCCEEDED, JobState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as its cluster knows it."""

    id: str
    state: JobState
    run: str = ""
    """Name of the run; empty for a job that redline did not submit."""
    run_root: str = ""
    """Folder of the run's folder, on the cluster."""
    steps: int = 0
    """Optimizer steps that the run is to take; 0 when nobody said."""
    message: str = ""
    """What Ray says about the state."""
    started: float | None = None
    """Seconds since 1970."""
    ended: float | None = None
    exit_code: int | None = None

    @property
    def directory(self) -> str:
        """The run's folder, on the cluster; empty when unknown."""
        return f"{self.run_root.rstrip('/')}/{self.run}" if self.run and self.run_root else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A job to be started."""

    id: str
    command: str
    """What a shell runs in the working folder."""
    folder: Path
    """Working folder here; a copy of it is the job's on every node."""
    wheel: Path | None
    """This release as a wheel; None when the cluster's own installation is to be used."""
    environment: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    num_cpus: float = 0.0
    """CPUs of the entry point, not of the workers that it starts."""
    resources: dict[str, float] = field(default_factory=dict)
    """Custom resources of the entry point."""

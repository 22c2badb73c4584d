"""What redline needs of a cluster's job server."""

from collections.abc import Callable
from typing import Protocol

from redline.cluster.checks.resources import Offer
from redline.cluster.jobs.records import Job, JobRequest


class JobServer(Protocol):
    """A cluster that runs jobs.

    Every method raises UserError in one line when there is no cluster at the address or it refuses
    the token, and WorkFailed when the cluster could not do what was asked.
    """

    address: str

    def jobs(self) -> list[Job]:
        """All jobs that the cluster remembers, the oldest first."""

    def submit(self, request: JobRequest) -> None:
        """Start a job; UserError when its id is taken."""

    def stop(self, job_id: str) -> None:
        """Ask a job to end; returns at once."""

    def follow(self, job_id: str, emit: Callable[[str], None]) -> None:
        """Hand over what the job has written and writes, until it is over."""

    def offers(self) -> list[Offer]:
        """What every live node has free."""

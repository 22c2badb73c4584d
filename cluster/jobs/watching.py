"""Waiting for jobs: until they have ended, with a deadline that names them."""

import time
from collections.abc import Callable

from redline.cluster.errors import WorkFailed
from redline.cluster.jobs.checks import find_job
from redline.cluster.jobs.records import Job, JobState
from redline.cluster.jobs.server import JobServer

_POLL_SECONDS = 0.5
_SETTLE_SECONDS = 60.0
"""After the last line of a log: until the cluster has noticed the end."""


def follow_to_the_end(server: JobServer, job: Job, emit: Callable[[str], None]) -> Job:
    """Hand over the log until the job is over; WorkFailed when it failed."""
    server.follow(job.id, emit)
    ended = wait_until_over(server, job.id, _SETTLE_SECONDS)
    if ended.state is JobState.FAILED:
        raise WorkFailed(f"job {ended.id} failed: {cause(ended)}")
    return ended


def wait_until_over(server: JobServer, job_id: str, seconds: float) -> Job:
    """The job as it ended; WorkFailed when it has not within the time."""
    deadline = time.monotonic() + seconds
    while True:
        job = find_job(server.jobs(), job_id, server.address)
        if job.state.over:
            return job
        if time.monotonic() > deadline:
            raise WorkFailed(
                f"job {job_id} is still {job.state.lower()} after {seconds:.0f} s; "
                f"`redline status {job_id} --follow` shows what it does"
            )
        time.sleep(_POLL_SECONDS)


def cause(job: Job) -> str:
    """Why a job failed in one line: what redline said last, else what Ray says."""
    lines = [line.strip() for line in job.message.splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.startswith("redline: ")), None)
    if said is not None:
        return said.removeprefix("redline: ")
    first = lines[0] if lines else "Ray does not say why"
    return first if len(lines) < 2 else f"{first} ... {lines[-1]}"

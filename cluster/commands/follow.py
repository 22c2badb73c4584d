"""Showing a job's log until the job ends."""

from typing import TextIO

import typer

from redline.cluster.jobs.records import Job, JobState
from redline.cluster.jobs.server import JobServer
from redline.cluster.jobs.watching import follow_to_the_end
from redline.cluster.output import say

_STOPPED = 130


def follow_job(server: JobServer, job: Job, stream: TextIO) -> Job:
    """Write the log to a stream and return the job as it ended.

    Raises WorkFailed when it failed; leaves with status 130 when it was stopped. Ctrl-C ends the
    watching, not the job.
    """

    def emit(lines: str) -> None:
        stream.write(lines)
        stream.flush()

    try:
        ended = follow_to_the_end(server, job, emit)
    except KeyboardInterrupt:
        say(f"job {job.id} goes on: `redline stop {job.id}` ends it")
        raise
    say(f"job {ended.id} {ended.state.lower()}")
    if ended.state is JobState.STOPPED:
        raise typer.Exit(_STOPPED)
    return ended

"""`redline stop`: end a submitted run so that it can be resumed."""

from typing import Annotated

import typer

from redline.cluster.commands.job_options import Address, Json
from redline.cluster.output import emit_json, say

_SECONDS = 90.0
"""Saving and ending take 15 s, Ray's own bookkeeping a few more."""


def stop(
    name: Annotated[str, typer.Argument(help="Job id, or name of a run.")],
    address: Address = None,
    json: Json = False,
) -> None:
    """Stop a run: it finishes its step, saves a checkpoint and ends."""
    from redline.cluster.jobs.checks import find_job
    from redline.cluster.jobs.connecting import connect
    from redline.cluster.jobs.showing import job_json, progress_of
    from redline.cluster.jobs.watching import wait_until_over

    server = connect(address)
    job = find_job(server.jobs(), name, server.address)
    if job.state.over:
        say(f"job {job.id} is {job.state.lower()} already")
    else:
        server.stop(job.id)
        job = wait_until_over(server, job.id, _SECONDS)
        say(f"job {job.id} {job.state.lower()}")
    progress = progress_of(job)
    if progress is not None and not progress.finished:
        say(
            f"{job.directory} is at step {progress.step}/{progress.steps}, last checkpoint "
            f"{progress.checkpoint or 'none yet'}; `redline submit` with --resume goes on from it"
        )
    if json:
        emit_json({**job_json(job), "address": server.address})

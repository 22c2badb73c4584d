"""`redline status`: the jobs of a cluster, one of them, or a run's folder."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from redline.cluster.commands.job_options import Address, Json
from redline.cluster.errors import UserError
from redline.cluster.output import emit_json


def status(
    name: Annotated[
        str | None, typer.Argument(help="Job id, name of a run, or a run's folder; else all jobs.")
    ] = None,
    address: Address = None,
    follow: Annotated[bool, typer.Option("--follow", help="Show its log until it ends.")] = False,
    json: Json = False,
) -> None:
    """Show what became of submitted runs and how far they are."""
    if name is not None and _is_folder(name):
        _show_folder(Path(name), json)
        return
    from redline.cluster.jobs.checks import find_job
    from redline.cluster.jobs.connecting import connect
    from redline.cluster.jobs.showing import job_json, job_table

    if follow and name is None:
        raise UserError("--follow needs the id of a job or the name of a run")
    server = connect(address)
    jobs = server.jobs()
    if name is None:
        ours = [job for job in jobs if job.run]
        if json:
            emit_json({"address": server.address, "jobs": [job_json(job) for job in ours]})
        else:
            print(job_table(ours) if ours else f"no run was submitted to {server.address}")
        return
    job = find_job(jobs, name, server.address)
    if follow:
        from redline.cluster.commands.follow import follow_job

        job = follow_job(server, job, sys.stderr if json else sys.stdout)
    if json:
        emit_json({**job_json(job), "address": server.address})
    else:
        print(job_table([job]))
        print(job.message.splitlines()[0] if job.message else "")


def _is_folder(name: str) -> bool:
    """A name with a slash is a path; one without is a run's, even where a folder has it too."""
    return "/" in name or name in (".", "..")


def _show_folder(folder: Path, json: bool) -> None:
    from redline.cluster.jobs.run_progress import read_progress
    from redline.cluster.jobs.showing import progress_json, progress_text

    progress = read_progress(folder)
    if json:
        emit_json({"directory": str(folder), "progress": progress_json(progress)})
    else:
        print(progress_text(str(folder), progress))

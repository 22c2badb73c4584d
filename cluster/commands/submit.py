"""`redline submit`: a training run as a job of a Ray cluster."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redline.cluster.commands.job_options import Address, Json
from redline.cluster.commands.train import Overrides
from redline.cluster.errors import UserError
from redline.cluster.output import emit_json, say

if TYPE_CHECKING:
    from redline.cluster.config import RunConfig
    from redline.cluster.jobs.submitting import SubmitOptions


def submit(
    config: Annotated[str, typer.Option(help="Preset, or a YAML file.")],
    overrides: Overrides = None,
    address: Address = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the job's log until it ends.")
    ] = False,
    env: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE, or NAME with its value here; may be repeated."),
    ] = None,
    installed: Annotated[
        bool, typer.Option("--installed", help="Use the cluster's redline; ship no wheel.")
    ] = False,
    python: Annotated[str, typer.Option(help="Interpreter on the cluster.")] = "python",
    write: Annotated[
        Path | None,
        typer.Option(help="Write the job's files there and print the `ray job submit` for them."),
    ] = None,
    json: Json = False,
) -> None:
    """Train on a Ray cluster as a job, which goes on when this terminal is closed."""
    from redline.cluster.jobs.submitting import SubmitOptions
    from redline.cluster.load import load_config

    settings = load_config(config, overrides or [])
    options = SubmitOptions(
        overrides=overrides or [],
        resume=resume,
        ship=not installed,
        python=python,
        environment=_environment(env or []),
    )
    if write is not None:
        _write(settings, options, write, address, json)
    else:
        _submit(settings, options, address, follow, json)


def _write(
    settings: "RunConfig", options: "SubmitOptions", folder: Path, address: str | None, json: bool
) -> None:
    """Prepare the job's files and print Ray's own command for them."""
    from redline.cluster.jobs.address import dashboard_address
    from redline.cluster.jobs.submitting import prepare, ray_job_submit

    request = prepare(settings, options, folder, f"{settings.name}-1")
    command = ray_job_submit(request, dashboard_address(address))
    if json:
        emit_json({"job": request.id, "directory": str(folder), "command": command})
    else:
        print(command)


def _submit(
    settings: "RunConfig", options: "SubmitOptions", address: str | None, follow: bool, json: bool
) -> None:
    from redline.cluster.commands.follow import follow_job
    from redline.cluster.jobs.connecting import connect
    from redline.cluster.jobs.showing import job_json
    from redline.cluster.jobs.submitting import submit_run

    server = connect(address)
    job = submit_run(server, settings, options)
    say(f"job {job.id} submitted to {server.address}; run directory {job.directory}")
    if follow:
        job = follow_job(server, job, sys.stderr if json else sys.stdout)
    else:
        say(f"watch it with `redline status {job.id} --follow`, end it: `redline stop {job.id}`")
    if json:
        emit_json({**job_json(job), "address": server.address})


def _environment(given: list[str]) -> dict[str, str]:
    """Variables of the job; UserError for one that has no value."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or (not equals and name not in os.environ):
            raise UserError(
                f"--env {text}: expected NAME=VALUE, or the name of a variable set here"
            )
        found[name] = value if equals else os.environ[name]
    return found

"""From a configuration to a job on a cluster."""

import json
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError
from redline.cluster.jobs.checks import check_room, next_id, refuse_twice
from redline.cluster.jobs.records import RUN, RUN_ROOT, STEPS, Job, JobRequest, JobState
from redline.cluster.jobs.server import JobServer
from redline.cluster.jobs.wheel import pack_wheel
from redline.cluster.jobs.working_folder import CONFIG, write_working_folder

STOP_SECONDS = 30
"""What a stopped run has to save and end before Ray kills it; it needs 15 at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """How a run becomes a job."""

    overrides: Sequence[str] = ()
    """As given, for a resumed run, which applies them to its saved configuration."""
    resume: bool = False
    ship: bool = True
    """Whether this release travels with the job; else the cluster's own is used."""
    python: str = "python"
    """Interpreter on the node of the driver."""
    environment: dict[str, str] = field(default_factory=dict)


def submit_run(server: JobServer, config: RunConfig, options: SubmitOptions) -> Job:
    """Check the run against the cluster and start it; returns the job as it is then.

    Raises UserError when the run is there already, or a worker has no place.
    """
    with tempfile.TemporaryDirectory(prefix="redline-job-") as folder:
        request = prepare(config, options, Path(folder), "")
        jobs = server.jobs()
        refuse_twice(jobs, config, resume=options.resume)
        check_room(config, server.offers())
        job_id = next_id(jobs, config.name)
        server.submit(replace(request, id=job_id))
    return Job(
        id=job_id,
        state=JobState.PENDING,
        run=config.name,
        run_root=config.run_root,
        steps=config.steps,
    )


def prepare(config: RunConfig, options: SubmitOptions, folder: Path, job_id: str) -> JobRequest:
    """Write the wheel and the working folder into a folder; UserError when that is not empty."""
    working = folder / "working"
    try:
        working.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"cannot make {working}: {error.strerror}") from error
    travelled = write_working_folder(config, working)
    return JobRequest(
        id=job_id,
        command=_command(options, travelled),
        folder=working,
        wheel=pack_wheel(folder) if options.ship else None,
        environment={"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS), **options.environment},
        metadata={RUN: config.name, RUN_ROOT: config.run_root, STEPS: str(config.steps)},
        num_cpus=config.ray.driver_num_cpus,
        resources=dict(config.ray.driver_resources),
    )


def ray_job_submit(request: JobRequest, address: str) -> str:
    """The same by Ray's own command line."""
    runtime: dict[str, object] = {"env_vars": request.environment}
    if request.wheel is not None:
        runtime["py_modules"] = [str(request.wheel.resolve())]
    words = [
        "ray", "job", "submit", "--address", address, "--submission-id", request.id,
        "--metadata-json", json.dumps(request.metadata), "--working-dir",
        str(request.folder.resolve()), "--runtime-env-json", json.dumps(runtime),
    ]  # fmt: skip
    if request.num_cpus:
        words += ["--entrypoint-num-cpus", f"{request.num_cpus:g}"]
    if request.resources:
        words += ["--entrypoint-resources", json.dumps(request.resources)]
    return f"{shlex.join([*words, '--no-wait'])} -- {request.command}"


def _command(options: SubmitOptions, travelled: set[str]) -> str:
    """The shell's command; `exec`, so that a signal to the job reaches the run itself."""
    words = [options.python, "-m", "redline.cluster.main", "train", "--config", CONFIG]
    if options.resume:
        kept = [text for text in options.overrides if text.partition("=")[0] not in travelled]
        words += [*kept, "ray.address=auto", "--resume"]
    return f"exec {shlex.join(words)}"

"""What would fail minutes later on the cluster is refused before a job is made."""

from collections.abc import Sequence
from pathlib import Path

from redline.cluster.checks.resources import Need, Offer, check_placeable, needs_of
from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError
from redline.cluster.jobs.records import Job, JobState


def refuse_twice(jobs: Sequence[Job], config: RunConfig, *, resume: bool) -> None:
    """UserError when the run is being trained, or was, and is not to be resumed."""
    same = [job for job in jobs if (job.run, job.run_root) == (config.name, config.run_root)]
    for job in same:
        if not job.state.over:
            raise UserError(
                f"run {config.name!r} is {job.state.lower()} as job {job.id}: watch it with "
                f"`redline status {job.id} --follow`, end it with `redline stop {job.id}`, or "
                "choose another name with name=NAME"
            )
    folder = Path(config.run_root) / config.name
    if resume:
        if folder.parent.is_dir() and not (folder / "config.yaml").is_file():
            raise UserError(f"no run to resume at {folder}; leave --resume out to start it")
        return
    trained = next((job for job in same if job.state is JobState.SUCCEEDED), None)
    if trained is not None or folder.exists():
        by = f"was trained by job {trained.id}" if trained else f"exists at {folder}"
        raise UserError(
            f"run {config.name!r} {by}: add --resume to go on with it, or choose another name "
            "with name=NAME"
        )


def check_room(config: RunConfig, offers: Sequence[Offer]) -> None:
    """UserError naming the first worker, or the driver, that no node has a place for now."""
    driver = Need(
        kind="driver",
        count=1,
        num_cpus=config.ray.driver_num_cpus,
        num_gpus=0.0,
        resources=dict(config.ray.driver_resources),
    )
    check_placeable([*needs_of(config), driver], offers)


def next_id(jobs: Sequence[Job], run: str) -> str:
    """Id of a run's next job: `NAME-1`, `NAME-2` and so on.

    Two that are submitted at the same moment get the same id, and the cluster takes only one.
    """
    numbers = [
        int(job.id.removeprefix(f"{run}-"))
        for job in jobs
        if job.id.startswith(f"{run}-") and job.id.removeprefix(f"{run}-").isdecimal()
    ]
    return f"{run}-{max(numbers, default=0) + 1}"


def find_job(jobs: Sequence[Job], name: str, address: str) -> Job:
    """The job with that id, else the newest of the run with that name; UserError if neither."""
    for job in jobs:
        if job.id == name:
            return job
    of_run = [job for job in jobs if job.run == name]
    if of_run:
        return of_run[-1]
    known = ", ".join(job.id for job in jobs[-8:] if job.run)
    raise UserError(
        f"no job or run {name!r} on {address}; "
        + (f"the last ones are {known}" if known else "redline submitted none there")
    )

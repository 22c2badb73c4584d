"""Jobs as lines for people and as JSON values for scripts."""

import time
from pathlib import Path
from typing import Any

from redline.cluster.jobs.records import Job
from redline.cluster.jobs.run_progress import RunProgress, is_run, read_progress


def progress_of(job: Job) -> RunProgress | None:
    """How far a job's run is; None when its folder is not visible from here."""
    folder = Path(job.directory)
    return read_progress(folder) if job.directory and is_run(folder) else None


def job_json(job: Job) -> dict[str, Any]:
    """A job and how far its run is."""
    return {
        "job": job.id,
        "run": job.run or None,
        "status": str(job.state),
        "directory": job.directory or None,
        "started": job.started,
        "ended": job.ended,
        "exit_code": job.exit_code,
        "message": job.message,
        "progress": progress_json(progress_of(job)),
    }


def progress_json(progress: RunProgress | None) -> dict[str, Any] | None:
    """How far a run is."""
    if progress is None:
        return None
    return {
        "step": progress.step,
        "steps": progress.steps,
        "checkpoint": progress.checkpoint,
        "finished": progress.finished,
    }


def job_table(jobs: list[Job]) -> str:
    """One line a job, the newest last."""
    rows = [("JOB", "STATUS", "SINCE", "STEP", "DIRECTORY")]
    for job in jobs:
        progress = progress_of(job)
        step = f"{progress.step}/{progress.steps}" if progress else f"?/{job.steps or '?'}"
        rows.append((job.id, str(job.state), since(job), step, job.directory or "?"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]])
        for row in rows
    )


def progress_text(folder: str, progress: RunProgress) -> str:
    """How far a run is, in one line."""
    state = "finished" if progress.finished else f"step {progress.step}/{progress.steps}"
    return f"{folder}: {state}, last checkpoint {progress.checkpoint or 'none yet'}"


def since(job: Job) -> str:
    """How long ago a job ended, or was submitted."""
    moment = job.ended or job.started
    if moment is None:
        return "?"
    seconds = max(0.0, time.time() - moment)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

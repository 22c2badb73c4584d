"""A cluster's job server without a cluster."""

import zipfile
from dataclasses import replace

from redline.cluster.checks.resources import Offer
from redline.cluster.jobs.records import RUN, RUN_ROOT, STEPS, Job, JobState


def make_job(job_id="mine-1", state=JobState.RUNNING, **changes):
    job = Job(
        id=job_id, state=state, run=job_id.rpartition("-")[0], run_root="/shared/runs", steps=900,
        started=1000.0,
    )  # fmt: skip
    return replace(job, **changes)


class FakeServer:
    """Remembers what it is asked for; a stopped job ends at once, a followed one as told."""

    address = "http://head:8265"

    def __init__(self, *jobs, cpus=64.0, gpus=0.0, ends=JobState.SUCCEEDED, message=""):
        self._jobs = list(jobs)
        custom = {"redline_learner": 1.0}
        self._offers = [Offer(node="head", num_cpus=cpus, num_gpus=gpus, resources=custom)]
        self._ends, self._message = ends, message
        self.request = None
        self.files, self.wheel_files = {}, []

    def jobs(self):
        return list(self._jobs)

    def submit(self, request):
        self.request = request
        self.files = {
            str(path.relative_to(request.folder)): path.read_text()
            for path in request.folder.rglob("*")
            if path.is_file()
        }
        if request.wheel is not None:
            self.wheel_files = zipfile.ZipFile(request.wheel).namelist()
        self._jobs.append(
            make_job(
                request.id, run=request.metadata[RUN], run_root=request.metadata[RUN_ROOT],
                steps=int(request.metadata[STEPS]),
            )
        )  # fmt: skip

    def stop(self, job_id):
        self._end(job_id, JobState.STOPPED)

    def follow(self, job_id, emit):
        emit("step 1/900\n")
        self._end(job_id, self._ends)

    def offers(self):
        return self._offers

    def _end(self, job_id, state):
        self._jobs = [
            replace(job, state=state, message=self._message) if job.id == job_id else job
            for job in self._jobs
        ]

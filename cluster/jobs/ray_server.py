"""Ray's Jobs API behind the protocol `JobServer`, and what it raises in words."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from ray.dashboard.modules.job.pydantic_models import JobDetails
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient
from ray.util.state import list_actors, list_nodes
from ray.util.state.exception import RayStateApiException

from redline.cluster.checks.resources import Offer, offer_of
from redline.cluster.errors import UserError, WorkFailed, one_line
from redline.cluster.jobs.records import RUN, RUN_ROOT, STEPS, Job, JobRequest, JobState

_SECONDS_TO_CONNECT = 10.0
_SECONDS_TO_ANSWER = 120.0
_SECONDS_TO_LIST = 30
_MOST = 10_000


class _Client(JobSubmissionClient):
    """Ray's client with deadlines: its own waits for ever for a machine that does not answer."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
        options.setdefault("timeout", (_SECONDS_TO_CONNECT, _SECONDS_TO_ANSWER))
        return super()._do_request(method, endpoint, **options)


class RayJobServer:
    """The dashboard of a Ray cluster."""

    def __init__(self, address: str) -> None:
        """Connect; UserError when nothing of Ray answers there or the token is refused."""
        self.address = address
        # Ray prefers its variables to the address that it is given, and asks for no token unless
        # told; a cluster that needs none does not mind one.
        os.environ["RAY_API_SERVER_ADDRESS"] = address
        logging.getLogger("ray").setLevel(logging.ERROR)
        for name in ("dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk"):
            logging.getLogger(f"ray.{name}").setLevel(logging.ERROR)
        try:
            with _told(address):
                self._client = _Client(address)
        except WorkFailed as error:  # nothing was asked of it but its version
            raise UserError(_no_dashboard(address, error)) from error

    def jobs(self) -> list[Job]:
        """All submitted jobs, the oldest first."""
        with _told(self.address):
            listed = self._client.list_jobs()
        submitted = [each for each in listed if each.submission_id]
        return [_job_of(each) for each in sorted(submitted, key=lambda each: each.start_time or 0)]

    def submit(self, request: JobRequest) -> None:
        """Upload what travels and start the job."""
        runtime: dict[str, Any] = {
            "working_dir": str(request.folder),
            "env_vars": request.environment,
        }
        if request.wheel is not None:
            runtime["py_modules"] = [str(request.wheel)]
        with _told(self.address):
            try:
                self._client.submit_job(
                    entrypoint=request.command,
                    submission_id=request.id,
                    runtime_env=runtime,
                    metadata=request.metadata,
                    entrypoint_num_cpus=request.num_cpus or None,
                    entrypoint_resources=request.resources or None,
                )
            except RuntimeError as error:
                if "already exists" in str(error):
                    raise UserError(
                        f"job {request.id} was submitted at the same moment: see `redline status`"
                    ) from error
                raise

    def stop(self, job_id: str) -> None:
        """Send the job SIGTERM; Ray kills it when it needs longer than its environment says."""
        with _told(self.address):
            self._client.stop_job(job_id)

    def follow(self, job_id: str, emit: Callable[[str], None]) -> None:
        """Hand over the log as it grows."""

        async def tail() -> None:
            async for lines in self._client.tail_job_logs(job_id):
                emit(lines)

        with _told(self.address):
            asyncio.run(tail())

    def offers(self) -> list[Offer]:
        """Resources of every live node less what its actors hold.

        Tasks of others are not counted: when a run joins the cluster, Ray's own figures decide.
        """
        with _told(self.address):
            nodes = list_nodes(
                self.address, filters=[("state", "=", "ALIVE")], limit=_MOST,
                timeout=_SECONDS_TO_LIST,
            )  # fmt: skip
            actors = list_actors(
                self.address, filters=[("state", "=", "ALIVE")], limit=_MOST, detail=True,
                timeout=_SECONDS_TO_LIST,
            )  # fmt: skip
        free = {node.node_id: dict(node.resources_total or {}) for node in nodes}
        for actor in actors:
            left = free.get(actor.node_id or "", {})
            for name, amount in (actor.required_resources or {}).items():
                left[name] = left.get(name, 0.0) - amount
        return [offer_of(node.node_name or node.node_ip, free[node.node_id]) for node in nodes]


def _job_of(details: JobDetails) -> Job:
    metadata = details.metadata or {}
    steps = metadata.get(STEPS, "0")
    return Job(
        id=details.submission_id or "",
        state=JobState(str(details.status)),
        run=metadata.get(RUN, ""),
        run_root=metadata.get(RUN_ROOT, ""),
        steps=int(steps) if steps.isdecimal() else 0,
        message=details.message or "",
        started=details.start_time / 1000 if details.start_time else None,
        ended=details.end_time / 1000 if details.end_time else None,
        exit_code=details.driver_exit_code,
    )


@contextmanager
def _told(address: str) -> Iterator[None]:
    """What Ray's client raises, as what this program raises."""
    try:
        yield
    except AuthenticationError as error:
        raise UserError(_refused(address, str(error))) from error
    except (requests.RequestException, RayStateApiException, ConnectionError) as error:
        raise UserError(
            f"no Ray dashboard at {address} ({_short(error)}): start a cluster with "
            "`ray start --head`, or name another one with --address http://HEAD:8265"
        ) from error
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(_no_dashboard(address, error)) from error
    except RuntimeError as error:
        raise WorkFailed(f"the cluster at {address} could not do it: {_short(error)}") from error


def _no_dashboard(address: str, error: Exception) -> str:
    return (
        f"what answers at {address} is no Ray dashboard ({_short(error)}): give the address that "
        "`ray start --head` printed"
    )


def _refused(address: str, told: str) -> str:
    """401 means that no token came along, 403 that it was another cluster's."""
    if "invalid" in told.lower():
        return (
            f"the cluster at {address} refused the token of {_token_place()}: put the cluster's "
            "own there (`ray get-auth-token` on its head node prints it)"
        )
    return (
        f"the cluster at {address} asks for a token and none was found: save the cluster's own "
        "(`ray get-auth-token` on its head node prints it) as ~/.ray/auth_token, or name it with "
        "RAY_AUTH_TOKEN_PATH=FILE"
    )


def _token_place() -> str:
    """Where Ray takes the token from, by its own order."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "RAY_AUTH_TOKEN"
    return os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token"


def _short(error: Exception) -> str:
    text = one_line(error)
    return text if len(text) <= 200 else f"{text[:197]}..."

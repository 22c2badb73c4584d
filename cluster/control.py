"""Asking a running job something from another process, through files of its run directory.

runs/<name>/control/lock              held by the job as long as it runs
runs/<name>/control/ID.request.json   written by who asks
runs/<name>/control/ID.answer.json    written by the job

Who may write into the run's folder may ask, and nothing else is needed: no address, no token, and
it is the same for a cluster of the machine's own and for one that was joined. Each file appears as
a whole or not at all.
"""

import asyncio
import fcntl
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Any

from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.files import write_atomically

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Answers one request; raises UserError to refuse it."""

_LOOK_SECONDS = 0.3
_SECONDS_TO_OPEN = 5.0
_REQUEST, _ANSWER = ".request.json", ".answer.json"


class ControlServer:
    """The job's side: a context manager that holds the lock, so that askers know who runs."""

    def __init__(self, run: Path) -> None:
        """`run` is the run's folder. Raises WorkFailed when another process holds the lock."""
        self._folder = run / "control"
        self._folder.mkdir(exist_ok=True)
        self._lock = _hold(self._folder / "lock")
        for path in self._folder.glob("*.json"):
            path.unlink()  # of an attempt that ended

    async def serve(self, handler: Handler, tell: Callable[[str], None]) -> None:
        """Answer requests, one after the other, until cancelled.

        A disk that takes no answer is told of, and no reason to end.
        """
        while True:
            try:
                for path in sorted(self._folder.glob(f"*{_REQUEST}")):
                    answer = await _answer(path, handler)
                    name = path.name.removesuffix(_REQUEST)
                    path.unlink(missing_ok=True)
                    write_atomically(self._folder / f"{name}{_ANSWER}", json.dumps(answer))
            except OSError as error:
                tell(f"cannot answer in {self._folder}: {error}")
            await asyncio.sleep(_LOOK_SECONDS)

    def __enter__(self) -> "ControlServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()


def is_running(run: Path) -> bool:
    """Whether a job runs in this run's folder."""
    try:
        with (run / "control" / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    return False


def ask(run: Path, request: dict[str, Any], *, seconds: float) -> dict[str, Any]:
    """Ask the job of a run's folder and return its answer.

    Raises UserError when it refuses, and WorkFailed when it ends or gives no answer in time.
    """
    name = uuid.uuid4().hex
    asked = run / "control" / f"{name}{_REQUEST}"
    answered = run / "control" / f"{name}{_ANSWER}"
    write_atomically(asked, json.dumps(request))
    deadline = time.monotonic() + seconds
    try:
        while not answered.is_file():
            if not is_running(run):
                raise WorkFailed(f"the job of {run} ended before it answered")
            if time.monotonic() > deadline:
                raise WorkFailed(
                    f"the job of {run} gave no answer within {seconds:.0f} s; it may still be "
                    "starting its workers: try again, or wait longer with --timeout"
                )
            time.sleep(_LOOK_SECONDS / 3)
        answer = json.loads(answered.read_text(encoding="utf-8"))
    finally:
        asked.unlink(missing_ok=True)
        answered.unlink(missing_ok=True)
    if "refused" in answer:
        raise UserError(answer["refused"])
    return answer["answer"]


def find_job(run_root: Path, name: str | None) -> Path:
    """The folder of the running job of this name or path, or of the only one that runs.

    Raises UserError when there is none, or several.
    """
    if name is not None:
        run = Path(name) if "/" in name else run_root / name
        if not (run / "config.yaml").is_file():
            raise UserError(f"no run at {run}; the runs lie in {run_root} (--run-root)")
        if not is_running(run):
            raise UserError(f"no job is running at {run}: it ended, or never got that far")
        return run
    running = [
        path.parent for path in sorted(run_root.glob("*/control")) if is_running(path.parent)
    ]
    if not running:
        raise UserError(
            f"no job is running in {run_root}; name another folder of runs with --run-root"
        )
    if len(running) > 1:
        names = ", ".join(path.name for path in running)
        raise UserError(f"{len(running)} jobs are running ({names}): choose one with --run NAME")
    return running[0]


async def _answer(path: Path, handler: Handler) -> dict[str, Any]:
    try:
        request = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return {"refused": f"request {path.name} is not readable: {error}"}
    if not isinstance(request, dict):
        return {"refused": f"request {path.name}: expected an object, got {request!r}"}
    try:
        return {"answer": await handler(request)}
    except UserError as error:
        return {"refused": str(error)}


def _hold(path: Path) -> IO[str]:
    """Take the lock; who only looks whether it is held has it for a moment."""
    lock = path.open("w")
    deadline = time.monotonic() + _SECONDS_TO_OPEN
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            lock.close()
            raise WorkFailed(f"{path} is held by another job") from error
        return lock

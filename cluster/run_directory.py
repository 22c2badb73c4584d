"""The folder of one run: who may use it, and where everything in it lies.

runs/<name>/config.yaml          the resolved configuration
runs/<name>/isolation.json       tier of every sandbox of the last attempt, and the weakest
runs/<name>/control/             how `redline scale` reaches the job while it runs
runs/<name>/logs/attempt_N/      one file per worker and attempt
runs/<name>/status.json          what it does now, or how it ended (status_file.py)
runs/<name>/metrics/             TensorBoard, and the same as steps.jsonl
runs/<name>/replay/              the trajectory store, unless `replay.root` puts it elsewhere
runs/<name>/checkpoints/         step_N/ and latest
runs/<name>/tasks/               generated tasks
runs/<name>/result.json          written at the end
"""

import fcntl
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

from redline.cluster.checks.store_place import store_location
from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.files import write_atomically
from redline.cluster.load import to_yaml
from redline.cluster.sampler_kinds import with_counts


class RunDirectory:
    """A run's folder, held by this process until it is left.

    Used as a context manager. If wrong input or an interruption ends it before `keep` was called
    and the folder was made by this attempt, the folder is removed again: a refused start leaves
    nothing behind. A worker that failed leaves its logs.
    """

    def __init__(self, path: Path, config: RunConfig, *, made: list[Path], lock: IO[str]) -> None:
        """`made` are the folders that this attempt created; empty for a resumed run."""
        self.path = path
        self._config = config
        self._lock = lock
        self._made = made
        self._kept = not made
        self.logs = _next_attempt(path / "logs")
        self.attempt = int(self.logs.name.removeprefix("attempt_"))
        self.metrics = path / "metrics"
        self.replay = store_location(config)
        self.checkpoints = path / "checkpoints"
        self.tasks = path / "tasks"
        self.isolation = path / "isolation.json"
        self.result = path / "result.json"

    @staticmethod
    def create(config: RunConfig) -> "RunDirectory":
        """Make the folder of a new run; UserError when the name is in use or nothing can be
        written there.
        """
        path = Path(config.run_root) / config.name
        if path.exists():
            raise UserError(
                f"run {config.name!r} exists at {path}: add --resume to go on with it, or choose "
                f"another name with name={_free_name(path)}"
            )
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            path.mkdir(parents=True)
            lock = _lock(path)
            write_atomically(path / "config.yaml", to_yaml(config))
            return RunDirectory(path, config, made=made, lock=lock)
        except OSError as error:
            _remove_empty(path, made)
            raise UserError(
                f"cannot write the run directory {path}: {error.strerror}; choose another place "
                "with run_root=FOLDER"
            ) from error

    @staticmethod
    def reopen(config: RunConfig) -> "RunDirectory":
        """Take up an existing run again; UserError when there is none or it still runs."""
        path = Path(config.run_root) / config.name
        if not (path / "config.yaml").is_file():
            raise UserError(f"no run to resume at {path}; leave --resume out to start it")
        try:
            lock = _lock(path)
            write_atomically(path / "config.yaml", to_yaml(config))
            return RunDirectory(path, config, made=[], lock=lock)
        except OSError as error:
            raise UserError(f"cannot write the run directory {path}: {error.strerror}") from error

    def keep(self) -> None:
        """From here on the folder stays, whatever happens."""
        self._kept = True

    def keep_counts(self, counts: Mapping[str, int]) -> None:
        """Let a resumed run start with so many workers of these fleets; raises OSError."""
        self._config = with_counts(self._config, counts)
        write_atomically(self.path / "config.yaml", to_yaml(self._config))

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.close()
        if kind is None or self._kept:
            return
        if issubclass(kind, WorkFailed):
            return  # its logs tell why
        shutil.rmtree(self.path, ignore_errors=True)
        _remove_empty(self.path, self._made)


def _lock(path: Path) -> IO[str]:
    """Hold the run, so that no second driver writes to it; the kernel lets go when we die."""
    lock = (path / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise UserError(f"run {path.name!r} at {path} is being trained by another process") from (
            error
        )
    return lock


def _next_attempt(logs: Path) -> Path:
    """Make `attempt_N` for the first free N, counted from 1."""
    taken = [int(p.name.removeprefix("attempt_")) for p in logs.glob("attempt_*")]
    folder = logs / f"attempt_{max(taken, default=0) + 1}"
    folder.mkdir(parents=True)
    return folder


def _free_name(path: Path) -> str:
    number = 2
    while path.with_name(f"{path.name}-{number}").exists():
        number += 1
    return f"{path.name}-{number}"


def _remove_empty(path: Path, made: list[Path]) -> None:
    """Remove what a refused start made; folders that hold something else stay."""
    if path in made:
        shutil.rmtree(path, ignore_errors=True)
    for folder in made:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

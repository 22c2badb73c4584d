"""Which run a page is about: found and checked before anything is served."""

from dataclasses import dataclass
from pathlib import Path

from redline.cluster.checks.store_place import store_below
from redline.cluster.config import RunConfig
from redline.cluster.dashboard.lock_holder import lock_holder
from redline.cluster.errors import UserError, one_line
from redline.cluster.load import load_saved
from redline.cluster.status_file import FILE_NAME, find_run
from redline.replay import identity
from redline.replay.errors import ReplayError
from redline.replay.places import Place, place_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """A run directory, and what its configuration says that a page needs."""

    folder: Path
    name: str
    model: str
    steps: int
    """Steps that the run is to take."""
    store: Place
    """The replay store."""

    @property
    def curves(self) -> Path:
        """One JSON line for each step."""
        return self.folder / "metrics" / "steps.jsonl"

    @property
    def isolation(self) -> Path:
        """Tier of every sandbox."""
        return self.folder / "isolation.json"

    @property
    def result(self) -> Path:
        """Written at the end of a run."""
        return self.folder / "result.json"


def open_run(run: str, root: Path) -> RunFiles:
    """The run in a folder or of a name in `root`; UserError when there is nothing to show."""
    folder = find_run(run, root).resolve()
    config = load_saved(folder / "config.yaml")
    files = RunFiles(
        folder=folder,
        name=config.name,
        model=config.model,
        steps=config.steps,
        store=_store(config, folder),
    )
    _refuse_empty(files)
    _refuse_other_store(files)
    return files


def newest_run(root: Path) -> str:
    """The run in `root` that was written to last; UserError when there is none."""
    configs = [path for path in root.glob("*/config.yaml") if path.is_file()]
    if not configs:
        raise UserError(
            f"no runs in {root}: start one with `redline train`, or give a run directory"
        )
    return str(max((path.parent for path in configs), key=_written))


def _written(folder: Path) -> float:
    files = (folder / "config.yaml", folder / "metrics" / "steps.jsonl", folder / FILE_NAME)
    return max(file.stat().st_mtime for file in files if file.exists())


def _store(config: RunConfig, folder: Path) -> Place:
    if config.replay.root is None:
        return folder / "replay"
    try:
        return place_of(store_below(config.replay.root, config.name))
    except ReplayError as error:
        raise UserError(one_line(error)) from error


def _refuse_empty(files: RunFiles) -> None:
    """A run that writes no metrics is worth a page only while it may still begin to."""
    if files.curves.is_file() or lock_holder(files.folder / "lock") is not None:
        return
    if (files.folder / FILE_NAME).is_file():
        return
    raise UserError(
        f"run {files.name!r} at {files.folder} has no metrics ({files.curves.name}) and no "
        f"process works on it: it ended before its first step, see {files.folder / 'logs'}; start "
        "it again with --resume"
    )


def _refuse_other_store(files: RunFiles) -> None:
    if not (files.store / identity.IDENTITY_FILE).exists():
        return  # a run that has just begun has none yet
    try:
        identity.read_store_id(files.store)
    except ReplayError as error:
        raise UserError(one_line(error)) from error

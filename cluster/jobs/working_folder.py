"""The working folder of a job: its configuration, and the files of this machine that it names.

One rule tells whose a path is: an absolute one is the cluster's, a relative one is this machine's
and travels with the job.
"""

import copy
import shutil
from dataclasses import replace
from pathlib import Path

from redline.cluster.checks.models import find_model
from redline.cluster.config import DEMO_POLICY, RunConfig
from redline.cluster.errors import UserError
from redline.cluster.load import to_yaml
from redline.cluster.task_supply import check_task_files
from redline.dsl.readers.sources import source_of

CONFIG = "config.yaml"
_LIMIT_MIB = 200
"""What travels is kept in the memory of the cluster's head."""


def write_working_folder(config: RunConfig, folder: Path) -> set[str]:
    """Fill the folder and return the keys whose values travelled with it.

    Raises UserError for a relative `run_root`, for what is not there, is faulty or is too large.
    """
    _check_run_root(config)
    travelling = _travelling(config)
    _check_tasks(config, travelling)
    size = sum(_size(path) for path in travelling.values())
    if size > _LIMIT_MIB * 2**20:
        named = ", ".join(f"{key}={path}" for key, path in travelling.items())
        raise UserError(
            f"{named}: {size / 2**20:.0f} MiB are too much to travel with a job (at most "
            f"{_LIMIT_MIB}): put them where every node sees them and give the absolute path"
        )
    for name in config.plugins:
        _copy_module(name, folder)
    shipped = copy.deepcopy(config)
    shipped.ray.address = "auto"
    for key, path in travelling.items():
        name = f"files/{key.rpartition('.')[2]}/{path.name}"
        _copy(path, folder / name)
        if key == "model":
            shipped.model = f"./{name}"
        else:
            setattr(shipped.tasks, key.rpartition(".")[2], name)
    (folder / CONFIG).write_text(to_yaml(shipped), encoding="utf-8")
    return set(travelling)


def _check_run_root(config: RunConfig) -> None:
    if not Path(config.run_root).is_absolute():
        raise UserError(
            f"run_root={config.run_root} is relative, but a job's working folder ends with the "
            "job: give a folder that stays and that the nodes of driver and learner share, such as "
            "run_root=/shared/runs"
        )


def _travelling(config: RunConfig) -> dict[str, Path]:
    """Files and folders of this machine, by the key that names them."""
    found: dict[str, Path] = {}
    for key, value in (
        ("tasks.train_file", config.tasks.train_file),
        ("tasks.heldout_file", config.tasks.heldout_file),
    ):
        if value is not None and not _elsewhere(value):
            found[key] = Path(value)
    if config.model != DEMO_POLICY and not _elsewhere(config.model):
        folder = Path(find_model(config.model)).expanduser()
        if folder.is_dir():
            found["model"] = folder.resolve()
    return found


def _elsewhere(value: str) -> bool:
    """Whether a value names something on the cluster, in a bucket or of a task source."""
    return Path(value).is_absolute() or "://" in value or source_of(value) is not None


def _check_tasks(config: RunConfig, travelling: dict[str, Path]) -> None:
    """Faults of task files that can be read here are told here."""
    tasks = config.tasks
    train = tasks.train_file if "tasks.train_file" in travelling else None
    heldout = tasks.heldout_file if "tasks.heldout_file" in travelling else None
    check_task_files(replace(tasks, train_file=train, heldout_file=heldout))


def _copy_module(name: str, folder: Path) -> None:
    """A plugin of this folder travels; an installed one has to be on the cluster."""
    top = name.partition(".")[0]
    for source in (Path(f"{top}.py"), Path(top)):
        if source.exists() and not (folder / source).exists():
            _copy(source, folder / source)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)

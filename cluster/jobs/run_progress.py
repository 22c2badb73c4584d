"""How far a run is, read from its folder where that is visible from here."""

from dataclasses import dataclass
from pathlib import Path

from redline.cluster.errors import UserError, one_line
from redline.cluster.metrics import read_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """A run's folder in a few figures."""

    step: int
    """Optimizer steps that were taken."""
    steps: int
    """Those that it is to take."""
    checkpoint: str | None
    """Name of the last one, from which --resume goes on."""
    finished: bool


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's."""
    return (folder / "config.yaml").is_file()


def read_progress(folder: Path) -> RunProgress:
    """Read a run's folder; UserError when it is none, or was left half-written."""
    import yaml

    if not is_run(folder):
        raise UserError(f"{folder} is no run directory: it has no config.yaml")
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        total = int(config["steps"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(
            f"{folder}/config.yaml is no configuration of a run ({one_line(error)}): the run was "
            "left half-written; remove the folder, or start the run under another name"
        ) from error
    steps = read_steps(folder / "metrics" / "steps.jsonl")
    latest = folder / "checkpoints" / "latest"
    return RunProgress(
        step=steps[-1]["step"] if steps else 0,
        steps=total,
        checkpoint=latest.read_text(encoding="utf-8").strip() if latest.is_file() else None,
        finished=(folder / "result.json").is_file(),
    )

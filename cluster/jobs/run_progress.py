"""How far a run is, read from its folder where that is visible from here."""

from dataclasses import dataclass
from pathlib import Path

from redline.cluster.errors import UserError
from redline.cluster.load import load_saved
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
    if not is_run(folder):
        raise UserError(f"{folder} is no run directory: it has no config.yaml")
    config = load_saved(folder / "config.yaml")
    steps = read_steps(folder / "metrics" / "steps.jsonl")
    latest = folder / "checkpoints" / "latest"
    return RunProgress(
        step=steps[-1]["step"] if steps else 0,
        steps=config.steps,
        checkpoint=latest.read_text(encoding="utf-8").strip() if latest.is_file() else None,
        finished=(folder / "result.json").is_file(),
    )

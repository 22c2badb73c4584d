"""Curves to Weights & Biases (`pip install wandb`; `WANDB_API_KEY` and the like are its own)."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from redline.cluster.config import RunConfig
from redline.cluster.files import write_atomically


class WandbSink:
    """One W&B run per training run; a resumed one goes on with it."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        import wandb

        place = folder / "wandb_run"
        known = place.read_text(encoding="utf-8").strip() if place.is_file() else None
        self._run = wandb.init(
            project=config.metrics.project,
            name=config.name,
            id=known,
            resume="allow" if known else None,
            dir=str(folder),
            config=asdict(config),
        )
        write_atomically(place, f"{self._run.id}\n")

    def write(self, step: int, curves: Mapping[str, float]) -> None:
        """Add one point to each of these curves."""
        self._run.log(dict(curves), step=step)

    def close(self) -> None:
        """Upload what is left and end the W&B run."""
        self._run.finish()

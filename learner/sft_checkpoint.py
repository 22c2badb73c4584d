"""Checkpoints of a supervised run: where it goes on, exactly, after an interruption.

FOLDER/step_N/engine/…       DeepSpeed: weights, adapters and optimizer state
FOLDER/step_N/random….pt     states of torch's random generators, see `random_states`
FOLDER/step_N/progress.json  what was done by then

The order of the data follows from the seed, so the number of steps says which batch is next. A
checkpoint appears whole, and only then the one before it goes.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from redline.learner.engine import TrainingEngine
from redline.learner.random_states import load_random, save_random

_TAG = "engine"


@dataclass(frozen=True, slots=True, kw_only=True)
class SftPosition:
    """Where a supervised run stands."""

    step: int = 0
    tokens: int = 0
    skipped: int = 0
    seconds: float = 0.0
    """Seconds trained by then."""


class SftCheckpoints:
    """The checkpoint of one run, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, engine: TrainingEngine, position: SftPosition) -> None:
        """Write a checkpoint, then remove the older ones."""
        folder = self._folder / f"step_{position.step}"
        draft = self._folder / f"draft_{position.step}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        engine.save(str(draft), _TAG)
        save_random(draft, engine.device)
        text = json.dumps(asdict(position)) + "\n"
        (draft / "progress.json").write_text(text, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
        for other in self._folder.glob("*_*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)

    def restore(self, engine: TrainingEngine) -> SftPosition:
        """Bring an engine back to the newest checkpoint; the start when there is none."""
        found = [p for p in self._folder.glob("step_*") if (p / "progress.json").is_file()]
        if not found:
            return SftPosition()
        newest = max(found, key=lambda p: int(p.name.removeprefix("step_")))
        engine.load(str(newest), _TAG)
        load_random(newest, engine.device)
        fields = json.loads((newest / "progress.json").read_text(encoding="utf-8"))
        return SftPosition(**fields)

"""Checkpoints of a run: complete or not there, and `latest` names only complete ones.

checkpoints/step_40/learner/     weights, optimizer and schedule
checkpoints/step_40/hf/          the policy, loadable by `from_pretrained`
checkpoints/step_40/state.json   step, weight version and store cursor
checkpoints/latest               the text `step_40`, written last
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from redline.cluster.errors import UserError, one_line
from redline.cluster.files import sync_folder, write_atomically
from redline.cluster.loop.ports import Learner
from redline.cluster.loop.records import Position
from redline.replay.cursor import Cursor
from redline.replay.errors import StoreError


class Checkpoints:
    """The checkpoint folder of one run."""

    def __init__(self, folder: Path, *, keep: int) -> None:
        self._folder = folder
        self._keep = keep

    async def save(self, learner: Learner, position: Position) -> None:
        """Write a checkpoint, name it `latest`, and remove those beyond the ones to keep."""
        final = self._folder / f"step_{position.step}"
        draft = self._folder / f".step_{position.step}.tmp"
        for leftover in (draft, final):  # of an attempt that died while saving or removing
            shutil.rmtree(leftover, ignore_errors=True)
        draft.mkdir(parents=True)
        await learner.save_checkpoint(draft)
        write_atomically(draft / "state.json", json.dumps(asdict(position), indent=1) + "\n")
        draft.rename(final)
        sync_folder(self._folder)
        write_atomically(self._folder / "latest", final.name + "\n")
        self._remove_old(final)

    def oldest_cursor(self) -> Cursor | None:
        """Store cursor of the oldest checkpoint that is kept; None when there is none."""
        folders = sorted(self._folder.glob("step_*"), key=_step_of)
        return _read_position(folders[0]).store_cursor if folders else None

    def latest(self) -> tuple[Path, Position] | None:
        """Folder and position of the newest complete checkpoint; None when there is none."""
        pointer = self._folder / "latest"
        if not pointer.is_file():
            return None
        folder = self._folder / pointer.read_text(encoding="utf-8").strip()
        return folder, _read_position(folder)

    def _remove_old(self, newest: Path) -> None:
        kept = sorted(self._folder.glob("step_*"), key=_step_of)[-self._keep :]
        for folder in self._folder.glob("step_*"):
            if folder not in kept and folder != newest:
                shutil.rmtree(folder, ignore_errors=True)


def _read_position(folder: Path) -> Position:
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        cursor = Cursor.from_fields(state["store_cursor"])
        return Position(
            step=state["step"], weight_version=state["weight_version"], store_cursor=cursor
        )
    except (OSError, ValueError, KeyError, StoreError) as error:
        raise UserError(
            f"checkpoint {folder} is damaged ({one_line(error)}); write the name of another "
            f"step_N folder into {folder.parent / 'latest'}"
        ) from error


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step_"))

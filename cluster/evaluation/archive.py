"""The folder of an evaluation: finished groups are kept in it, so that it can be interrupted.

OUTPUT/evaluation.json   what is evaluated and how: a folder is taken up again only for the same
OUTPUT/episodes/         the finished groups, a store that `redline replay` shows
OUTPUT/result.json       written at the end, with curves.png and report.html
"""

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from redline.cluster.errors import UserError, one_line
from redline.cluster.files import write_atomically
from redline.replay.catalog import read_groups
from redline.replay.errors import ReplayError
from redline.replay.records import TrajectoryGroup
from redline.replay.store import ReplayStore

_GROUPS_PER_SEGMENT = 8
"""Groups that a kill may cost, and that each file holds."""


class EvaluationArchive:
    """Keeps the groups of one evaluation; a context manager around the work."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        """Make the folder, or take it up when it holds an evaluation of the same settings.

        Raises UserError when it holds something else or cannot be written.
        """
        self.folder = folder
        _claim(folder, settings)
        try:
            self._store = ReplayStore(folder / "episodes", groups_per_segment=_GROUPS_PER_SEGMENT)
            groups = list(read_groups(folder / "episodes"))
        except ReplayError as error:
            raise UserError(f"{folder}: {one_line(error)}") from error
        self.known = {group.group_id: group for group in groups}

    def keep(self, group: TrajectoryGroup) -> None:
        """Store a finished group."""
        self._store.append(group)

    def __enter__(self) -> "EvaluationArchive":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._store.close()


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    path = folder / "evaluation.json"
    try:
        if path.is_file():
            _refuse_others(folder, json.loads(path.read_text(encoding="utf-8")), settings)
            return
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} exists and holds no evaluation; choose another --output")
        folder.mkdir(exist_ok=True)
        write_atomically(path, json.dumps(settings, indent=1) + "\n")
    except FileNotFoundError as error:
        raise UserError(f"no folder {folder.parent} to write {folder.name} into") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON: {one_line(error)}") from error
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error


def _refuse_others(folder: Path, before: Any, now: dict[str, Any]) -> None:
    """UserError naming the first setting in which a kept evaluation differs."""
    old = before if isinstance(before, dict) else {}
    for key in now:
        if old.get(key) != json.loads(json.dumps(now[key])):
            raise UserError(
                f"{folder} holds an evaluation with another {key}: was {_short(old.get(key))}, is "
                f"{_short(now[key])}; choose another --output or remove it"
            )


def _short(value: Any, limit: int = 80) -> str:
    text = json.dumps(value)
    return text if len(text) <= limit else f"{text[:limit]}..."

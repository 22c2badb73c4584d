"""Recorded episodes that simulated samplers play again."""

import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from redline.replay.catalog import read_newest
from redline.replay.decode import table_to_groups
from redline.replay.errors import StoreError
from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus

BUILTIN = "builtin"
_BUILTIN_FILE = Path(__file__).with_name("recorded_groups.parquet")
_MOST_GROUPS = 256


class Recording:
    """Episodes of real runs, by the groups that they were sampled in."""

    def __init__(self, groups: Sequence[TrajectoryGroup], source: str) -> None:
        """Raises `StoreError` naming `source` when no episode of `groups` came to an end."""
        ended = [[t for t in group.trajectories if _is_playable(t)] for group in groups]
        self.groups = [tuple(episodes) for episodes in ended if episodes]
        if not self.groups:
            raise StoreError(
                f"{source}: no recorded episode to simulate among {len(groups)} groups; name a "
                f"run that has trained, or {BUILTIN!r}"
            )

    @staticmethod
    def read(source: str) -> "Recording":
        """The recording in the package, a store, a run's folder, or a Parquet export of one.

        Of a store, the newest groups. Raises `StoreError` when there is none to be played.
        """
        if source == BUILTIN:
            return Recording(_read_export(_BUILTIN_FILE), source)
        if source.endswith(".parquet"):
            return Recording(_read_export(Path(source)), source)
        return Recording(read_newest(_store_of(source), _MOST_GROUPS), source)

    def draw(self, rng: random.Random, episodes: int) -> list[Trajectory]:
        """Episodes of one recorded group, each once before any comes twice."""
        group = rng.choice(self.groups)
        drawn: list[Trajectory] = []
        while len(drawn) < episodes:
            drawn += rng.sample(group, min(len(group), episodes - len(drawn)))
        return drawn


def _is_playable(trajectory: Trajectory) -> bool:
    return trajectory.status is not TrajectoryStatus.ABORTED and len(trajectory.turns) > 0


def _read_export(file: Path) -> list[TrajectoryGroup]:
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(f"{file}: cannot be read as Parquet ({error})") from error
    return table_to_groups(table)


def _store_of(source: str) -> str:
    """A run's folder has its store in `replay`."""
    inside = Path(source) / "replay"
    return str(inside) if inside.is_dir() else source

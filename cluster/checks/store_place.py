"""Where a run's trajectories lie, and whether they can: asked before anything starts."""

from pathlib import Path

from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError, one_line
from redline.cluster.load import load_saved
from redline.replay.errors import ReplayError
from redline.replay.identity import SEGMENTS, find_store_id
from redline.replay.places import join_place, place_of, prove_writable
from redline.replay.segment import list_segments


def store_location(config: RunConfig) -> str:
    """Folder or URL of the run's store."""
    if config.replay.root is None:
        return str((Path(config.run_root) / config.name / "replay").resolve())
    return store_below(config.replay.root, config.name)


def store_below(root: str, name: str) -> str:
    """Folder or URL of the store of the run `name` below a `replay.root`."""
    return join_place(root, name) if "://" in root else str((Path(root) / name).resolve())


def store_of(path: str) -> str:
    """The store of a run whose folder is given; any other path or URL is a store itself."""
    if "://" in path:
        return path
    inside, settings = Path(path) / "replay", Path(path) / "config.yaml"
    if inside.is_dir() or not settings.is_file():
        return str(inside) if inside.is_dir() else path
    return store_location(load_saved(settings))


def check_store(config: RunConfig, *, resume: bool) -> None:
    """Raise UserError when the run cannot use its store.

    Such are a store of another schema version, one that another run left at the place, and a
    place where this machine may not write.
    """
    try:
        place = place_of(store_location(config))
        if config.replay.root is not None:
            prove_writable(place)
        known = find_store_id(place)
        used = known is not None and bool(list_segments(place / SEGMENTS))
    except (ReplayError, OSError) as error:
        raise UserError(one_line(error)) from error
    if used and not resume and config.replay.root is not None:
        raise UserError(
            f"{place} holds the store of another run: choose another name with name=NAME, or "
            "another place with replay.root"
        )

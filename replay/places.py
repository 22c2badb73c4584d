"""Where a store lies: a folder, or a URL of anything that `pyarrow.fs` or fsspec reach."""

import os
import re
import secrets
from pathlib import Path
from urllib.parse import unquote, urlsplit

import fsspec
import pyarrow as pa
from pyarrow import fs as pafs

from redline.replay.errors import StoreError
from redline.replay.object_path import ObjectPath

Place = Path | ObjectPath
"""A folder or file of a store, on this machine's file systems or elsewhere."""

StorePath = str | os.PathLike[str] | ObjectPath
"""What users name a place by."""


def place_of(path: StorePath) -> Place:
    """The place that a path or URL names; raises `StoreError` when the URL leads nowhere.

    A shared file system that is mounted is a folder like any other, and so is `file://`.
    """
    if isinstance(path, ObjectPath):
        return path
    text = os.fspath(path)
    shown = re.sub(r"(?<=://)[^/@]*@", "", text).rstrip("/")  # without a user's secret
    if "://" not in text:
        return Path(text)
    if text.startswith("file://"):
        return Path(unquote(urlsplit(text).path))
    try:
        filesystem, key = _resolve(text)
    except (OSError, ValueError, ImportError, NotImplementedError) as error:
        why = _short(error).replace(text, shown)
        raise StoreError(f"{shown}: no way to this store ({why})") from error
    return ObjectPath(filesystem=filesystem, key=key.rstrip("/"), uri=shown)


def join_place(root: str, name: str) -> str:
    """The place `name` within `root`, as text; a URL's options stay at its end."""
    base, mark, query = root.partition("?")
    return f"{base.rstrip('/')}/{name}{mark}{query}" if "://" in root else str(Path(root) / name)


def prove_writable(place: Place) -> None:
    """Write, list, read and delete a small file, as the store will.

    Raises `StoreError` saying what was refused.
    """
    file = place / f"probe-{secrets.token_hex(4)}"
    doing = "make the folder"
    try:
        place.mkdir(parents=True, exist_ok=True)
        doing = "write to it"
        if isinstance(file, ObjectPath):
            file.write_whole(b"redline")
        else:
            file.write_bytes(b"redline")
        doing = "list and read it"
        found = [entry.read_bytes() for entry in place.glob(file.name)]
        doing = "delete from it"
        file.unlink()
    except OSError as error:
        raise StoreError(
            f"{place}: cannot {doing} ({_short(error)}); a store needs the rights to list, read, "
            "write and delete there, with the credentials that this machine has"
        ) from error
    if found != [b"redline"]:
        raise StoreError(f"{place}: what was written there is not found again")


def _resolve(url: str) -> tuple[pafs.FileSystem, str]:
    try:
        return pafs.FileSystem.from_uri(url)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        filesystem, key = fsspec.core.url_to_fs(url)
        return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), key


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."

"""What a place must hold to be a store: its identity file, and who its one writer is.

A folder is locked by its writer. In a bucket nobody can be locked out: there, the newest writer
takes over, and an older one is refused when it next writes. A run that hangs somewhere can so be
resumed elsewhere.
"""

import fcntl
import json
import os
import secrets
from pathlib import Path

from redline.replay.errors import SchemaVersionError, StoreError
from redline.replay.files import write_atomically
from redline.replay.object_path import ObjectPath
from redline.replay.places import Place
from redline.replay.schema import SCHEMA_VERSION

IDENTITY_FILE = "store.json"
LOCK_FILE = "lock"
SEGMENTS = "segments"
JOURNAL = "journal.log"
RETIRED = "retired.log"
MANIFEST = "manifest.log"
WRITERS = "writers"


def find_store_id(path: Place) -> str | None:
    """Identity of the store at `path`; None when there is none.

    Raises `SchemaVersionError` when another version made it, `StoreError` for a damaged one.
    """
    file = path / IDENTITY_FILE
    try:
        fields = json.loads(file.read_text())
        version, store_id = fields["schema_version"], fields["store_id"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{file}: not the identity of a store ({error!r})") from error
    if version != SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{path}: store of schema version {version}, but this redline reads version "
            f"{SCHEMA_VERSION}; use the redline that wrote it, or start a new store"
        )
    return store_id


def read_store_id(path: Place) -> str:
    """The same; raises `StoreError` when there is none."""
    store_id = find_store_id(path)
    if store_id is None:
        raise StoreError(f"{path}: not a replay store (it has no {IDENTITY_FILE})")
    return store_id


def create_or_read(path: Place) -> str:
    """Identity of the store at `path`, which is made when the directory is empty or missing."""
    (path / SEGMENTS).mkdir(parents=True, exist_ok=True)
    file = path / IDENTITY_FILE
    if not file.exists():
        identity = {"schema_version": SCHEMA_VERSION, "store_id": secrets.token_hex(8)}
        write_atomically(file, json.dumps(identity).encode() + b"\n")
    return read_store_id(path)


def take_writing(path: Place) -> "WriterLock | WriterClaim":
    """Become the writer of the store at `path`; raises `StoreError` when a folder has one."""
    return WriterClaim(path) if isinstance(path, ObjectPath) else WriterLock(path)


class WriterClaim:
    """The word of a writer in a bucket that it is the newest."""

    def __init__(self, path: ObjectPath) -> None:
        """Become the newest writer."""
        self._path = path
        self._folder = path / WRITERS
        self._folder.mkdir()
        older = sorted(self._folder.glob("*.writer"))
        number = int(older[-1].name.partition("-")[0]) + 1 if older else 0
        self._claim = self._folder / f"{number:010d}-{secrets.token_hex(4)}.writer"
        self._claim.write_whole(f"{os.getpid()}\n".encode())
        for claim in older:
            claim.unlink(missing_ok=True)

    def check(self) -> None:
        """Raise `StoreError` when a newer writer has taken over; asked before every write."""
        newest = max(self._folder.glob("*.writer"), default=None)
        if newest is None or newest.name != self._claim.name:
            raise StoreError(
                f"{self._path}: another process writes to this store since; this one stops, so "
                "that no group is trained on twice"
            )

    def release(self) -> None:
        """Nothing to do: the next writer takes over in any case."""


class WriterLock:
    """Keeps a second writer out of a store; the kernel drops it when its process dies."""

    def __init__(self, path: Path) -> None:
        """Take the lock of the store at `path`; raises `StoreError` naming who has it."""
        path.mkdir(parents=True, exist_ok=True)
        file = path / LOCK_FILE
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise StoreError(
                f"{path}: process {owner or 'unknown'} writes to this store; stop it first, or "
                "open another directory"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def check(self) -> None:
        """Nothing to do: nobody else can have taken over."""

    def release(self) -> None:
        """Let the next writer in."""
        os.close(self._descriptor)

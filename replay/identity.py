"""What a directory must hold to be a store: its identity file and the lock of its one writer."""

import fcntl
import json
import os
import secrets
from pathlib import Path

from redline.replay.errors import SchemaVersionError, StoreError
from redline.replay.files import write_atomically
from redline.replay.schema import SCHEMA_VERSION

IDENTITY_FILE = "store.json"
LOCK_FILE = "lock"
SEGMENTS = "segments"
JOURNAL = "journal.log"
RETIRED = "retired.log"
MANIFEST = "manifest.log"


def read_store_id(path: Path) -> str:
    """Identity of the store at `path`.

    Raises `StoreError` when there is none, `SchemaVersionError` when another version made it.
    """
    file = path / IDENTITY_FILE
    try:
        fields = json.loads(file.read_text())
        version, store_id = fields["schema_version"], fields["store_id"]
    except FileNotFoundError:
        raise StoreError(f"{path}: not a replay store (it has no {IDENTITY_FILE})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{file}: not the identity of a store ({error!r})") from error
    if version != SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{path}: store of schema version {version}, but this redline reads version "
            f"{SCHEMA_VERSION}; use the redline that wrote it, or start a new store"
        )
    return store_id


def create_or_read(path: Path) -> str:
    """Identity of the store at `path`, which is made when the directory is empty or missing."""
    (path / SEGMENTS).mkdir(parents=True, exist_ok=True)
    file = path / IDENTITY_FILE
    if not file.exists():
        identity = {"schema_version": SCHEMA_VERSION, "store_id": secrets.token_hex(8)}
        write_atomically(file, json.dumps(identity).encode() + b"\n")
    return read_store_id(path)


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

    def release(self) -> None:
        """Let the next writer in."""
        os.close(self._descriptor)

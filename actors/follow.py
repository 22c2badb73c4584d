"""Ending with another process: nobody is left behind when a sampler is killed."""

import os
import threading
import time
from pathlib import Path

OWNER = "REDLINE_ENGINE_OWNER"
"""Environment variable with the id of the process that an engine belongs to."""
_CHECK_SECONDS = 1.0


def follow_owner() -> None:
    """End this process within about a second after its owner is gone, however it went.

    Does nothing in the owner itself and where no owner is named.
    """
    owner = int(os.environ.get(OWNER, "0"))
    if owner not in (0, os.getpid()):
        threading.Thread(target=_watch, args=(owner,), name="follow-owner", daemon=True).start()


def is_alive(pid: int) -> bool:
    """Whether a process with this id runs, which one that nobody has reaped does not.

    When a node's raylet is killed, its dead workers may stay unreaped for as long as the node runs.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def _watch(owner: int) -> None:
    while is_alive(owner):
        time.sleep(_CHECK_SECONDS)
    os._exit(1)

"""Peak memory of all processes of a run on this machine."""

import threading
from collections.abc import Callable

import psutil

_GIB = 2**30


class MemoryWatch:
    """A thread that adds up the resident memory of this process and all its descendants.

    Shared pages are counted once per process, so the sum errs on the high side.
    """

    def __init__(
        self, interval_seconds: float = 2.0, *, tell: Callable[[int], None] | None = None
    ) -> None:
        """`tell` is told the sum in bytes after each look."""
        self._tell = tell
        self._interval = interval_seconds
        self._peak = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)

    @property
    def peak_gib(self) -> float:
        """Highest sum that was seen, in GiB."""
        return self._peak / _GIB

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            resident = resident_bytes(psutil.Process())
            self._peak = max(self._peak, resident)
            if self._tell is not None:
                self._tell(resident)
            if self._end.wait(self._interval):
                return


def resident_bytes(root: psutil.Process) -> int:
    """Resident bytes of a process and its descendants; those that just ended count nothing."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total

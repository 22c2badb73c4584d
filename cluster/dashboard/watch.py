"""Follows one run directory in a thread, so that no page waits for a disk."""

import logging
import threading
import time

from redline.cluster.dashboard.curves import Curves
from redline.cluster.dashboard.index import TrajectoryIndex
from redline.cluster.dashboard.run_files import RunFiles
from redline.cluster.dashboard.run_health import RunHealth, run_health
from redline.cluster.dashboard.token_texts import TokenTexts
from redline.cluster.errors import UserError
from redline.cluster.status_file import FILE_NAME, RunStatus, read_status

_log = logging.getLogger(__name__)
_SECONDS = 1.0
"""Between two looks."""


class RunWatch:
    """What is known of a run; a context manager around the thread that keeps it new.

    The curves are guarded by `lock`, the rest is replaced as a whole.
    """

    def __init__(self, files: RunFiles) -> None:
        self.files = files
        self.lock = threading.Lock()
        self.curves = Curves(files.curves)
        self.index = TrajectoryIndex(files.store)
        self.texts = TokenTexts(files.folder, files.model)
        self.status: RunStatus | None = None
        self.health: RunHealth = run_health(files, None, time.time())
        self.revision = 0
        """Grows whenever something changed."""
        self.curves_revision = 0
        """Grows when the curves did."""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="run-watch", daemon=True)

    def look(self) -> None:
        """Take up everything that changed since the last look."""
        with self.lock:
            changed = self.curves.poll()
        self.curves_revision += changed
        changed |= self.index.refresh()
        status = self._read_status()
        health = run_health(self.files, status, time.time())
        changed |= (status, health) != (self.status, self.health)
        self.status, self.health = status, health
        self.revision += changed

    def __enter__(self) -> "RunWatch":
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(timeout=10.0)

    def _follow(self) -> None:
        while not self._end.wait(_SECONDS):
            try:
                self.look()
            except OSError as error:  # of a network disk, say; the next look may succeed
                _log.warning("cannot read %s: %s", self.files.folder, error)

    def _read_status(self) -> RunStatus | None:
        if not (self.files.folder / FILE_NAME).exists():
            return None
        try:
            return read_status(self.files.folder)
        except UserError as error:
            _log.debug("%s", error)
            return None  # of another release: the page does without

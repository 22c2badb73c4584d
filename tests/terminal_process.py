"""A `redline` command at a terminal of its own, as a user sees it."""

import errno
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

_ROWS, _COLUMNS = 50, 160


class TerminalProcess:
    """One command whose three streams are a pseudo-terminal; a context manager that ends it."""

    def __init__(self, *arguments, cwd):
        self._screen, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "redline.cluster.main", *arguments],
            cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color"},
            # Whoever was started in the background ignores Ctrl-C, and so do its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        os.close(theirs)
        self.shown = ""
        """All that was written so far."""

    def wait_for(self, *texts, seconds=120):
        """Wait until all texts were shown since the last call."""
        deadline = time.monotonic() + seconds
        since = len(self.shown)
        while missing := [text for text in texts if text not in self.shown[since:]]:
            late = time.monotonic() > deadline
            assert not late, f"never shown: {missing}; shown was:\n{self.shown[since:]}"
            assert self._read(), f"ended without showing {missing}:\n{self.shown[since:]}"

    def interrupt(self, seconds=60):
        """What Ctrl-C does; the exit status."""
        self.process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + seconds
        while self._read():  # who cannot write cannot end
            assert time.monotonic() < deadline, f"goes on after Ctrl-C:\n{self.shown[-2000:]}"
        return self.process.wait(timeout=seconds)

    def _read(self):
        """Take what is there, or wait a moment for it; false when nobody can write any more."""
        if not select.select([self._screen], [], [], 0.2)[0]:
            return True
        try:
            self.shown += os.read(self._screen, 65536).decode(errors="replace")
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(timeout=30)
        os.close(self._screen)

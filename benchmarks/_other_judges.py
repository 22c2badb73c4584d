"""Two other ways to run an untrusted program, to measure the sandbox against.

Both put program and tests into one text and believe what that process says of itself.
"""

import contextlib
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from typing import Any

SECONDS = 10.0


def fresh_subprocess(program: str, tests: tuple[str, ...]) -> bool:
    """A new interpreter for each execution; exit status 0 counts as a pass."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "\n".join((program, *tests))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=SECONDS,
        env={},
    )
    return done.returncode == 0


def forked_and_guarded(program: str, tests: tuple[str, ...]) -> bool:
    """The method of human-eval's `check_correctness` (Chen et al., arXiv 2107.03374).

    A manager process holds a list; a forked process disables what is destructive, enters a
    temporary folder, swallows output, sets an alarm, executes the text and appends its outcome to
    the list. Written anew from the description of the method.
    """
    with multiprocessing.Manager() as manager:
        outcome = manager.list()
        text = "\n".join((program, *tests))
        process = multiprocessing.Process(target=_execute, args=(text, outcome))
        process.start()
        process.join(SECONDS + 1.0)
        if process.is_alive():
            process.kill()
        return list(outcome) == ["passed"]


def _execute(text: str, outcome: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = os.chdir, os.rmdir, os.unlink
        home = os.getcwd()  # noqa: PTH109 - the method's own way
        os.chdir(folder)
        _disarm()
        try:
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            with contextlib.redirect_stdout(io.StringIO()):
                exec(text, {})
            outcome.append("passed")
        except BaseException as error:  # noqa: BLE001 - whatever the program does is an outcome
            outcome.append(f"failed: {error}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.chdir, os.rmdir, os.unlink = kept
            os.chdir(home)


def _disarm() -> None:
    """Take away what would destroy the host, in this process only."""
    for name in ("kill", "system", "putenv", "remove", "removedirs", "rmdir", "fchdir", "setuid"):
        setattr(os, name, None)
    for name in ("fork", "forkpty", "killpg", "rename", "truncate", "unlink", "fchmod", "chroot"):
        setattr(os, name, None)
    subprocess.Popen = None  # type: ignore[assignment,misc]
    for name in ("ipdb", "joblib", "resource", "psutil", "tkinter"):
        sys.modules[name] = None  # type: ignore[assignment]

"""Nobody is left behind: all processes of a run end with it, whatever ends the run.

Every process that a run starts inherits an environment variable that names the attempt. A guardian,
a small process of its own, remembers who carries it, and their children: a process may hide its
environment later (Ray's agents overwrite theirs when they end, and may then hang), and sandboxes
have none. When the driver says so, or dies (its end of a pipe closes, even on SIGKILL), the
guardian ends them all.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

MARKER = "REDLINE_ATTEMPT"
_LOOK_SECONDS = 1.0
_KILL_SECONDS = 10.0
_CLOSE_SECONDS = 15.0
_END = b"."

Process = tuple[int, int]
"""Id and start time in clock ticks: together they name one process for ever."""


class Guardian:
    """Marks this process and its future children, and has them watched."""

    def __init__(self) -> None:
        self._token = token = uuid.uuid4().hex
        os.environ[MARKER] = token
        reader, self._writer = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(reader), token],
            pass_fds=(reader,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C at the terminal is not for the guardian
            env={},
            text=True,
        )
        os.close(reader)

    def close(self) -> int:
        """End what is still alive and the guardian itself; return how many had to be killed.

        Where somebody killed or stopped the guardian, this process does its work, as far as those
        can be told who show whose they are. Raises RuntimeError naming the processes that even
        SIGKILL did not end.
        """
        os.environ.pop(MARKER, None)
        with contextlib.suppress(BrokenPipeError):
            os.write(self._writer, _END)
        os.close(self._writer)
        killed, *left = [*map(int, self._told().split())] or _ended(self._token, set())
        if left:
            raise RuntimeError(f"processes {left} of this run survive SIGKILL")
        return killed

    def _told(self) -> str:
        """What the guardian says when it has done its work; empty when it could not."""
        try:
            return self._process.communicate(timeout=_CLOSE_SECONDS)[0]
        except subprocess.TimeoutExpired:
            return ""
        finally:
            self._process.kill()
            self._process.wait()


def members(token: str, known: set[Process]) -> set[Process]:
    """All live processes that are known or carry the token, and their descendants."""
    found = {process for process in known if alive(process)}
    children: dict[int, list[Process]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            parent, started = _parent_and_start(entry)
            process = (int(entry.name), started)
            children.setdefault(parent, []).append(process)
            if f"{MARKER}={token}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.add(process)
        except OSError:  # it ended meanwhile, or belongs to somebody else
            continue
    ahead = list(found)
    while ahead:
        new = [child for child in children.get(ahead.pop()[0], []) if child not in found]
        found.update(new)
        ahead += new
    return found


def alive(process: Process) -> bool:
    """Whether the process runs, which a zombie does not."""
    try:
        return _parent_and_start(Path("/proc") / str(process[0]))[1] == process[1]
    except OSError:
        return False


def _parent_and_start(entry: Path) -> tuple[int, int]:
    """Raises ProcessLookupError for one that has ended, reaped or not."""
    fields = (entry / "stat").read_text().rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise ProcessLookupError(entry.name)
    return int(fields[1]), int(fields[19])


def _ended(token: str, known: set[Process]) -> list[int]:
    """SIGKILL everybody until nobody is left: how many that were, and who is there all the same."""
    deadline = time.monotonic() + _KILL_SECONDS
    killed: set[Process] = set()
    while known := members(token, known):
        if time.monotonic() > deadline:
            return [len(killed), *(pid for pid, _ in sorted(known))]
        for process in known:
            try:
                os.kill(process[0], signal.SIGKILL)
                killed.add(process)
            except ProcessLookupError:
                continue
        time.sleep(0.05)
    return [len(killed)]


def _watch(descriptor: int, token: str) -> None:
    """Wait until the driver is gone or says that it ends; then end what is there."""
    known = members(token, set())
    while not select.select([descriptor], [], [], _LOOK_SECONDS)[0]:
        known = members(token, known)
    told = _ended(token, known)
    if os.read(descriptor, 1) == _END:
        print(*told)


if __name__ == "__main__":
    # Who stops a run may signal all of its processes; this one has to see the others end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    _watch(int(sys.argv[1]), sys.argv[2])

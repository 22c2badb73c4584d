"""Watching contained children from the fork server, and leaving nothing of them behind.

Loaded by the fork server; standard library only.
"""

import contextlib
import os
import select
import signal
import socket
import time

from redline.sandbox.containment import left_to_kill
from redline.sandbox.wire import ABORT, MAX_PACKET, EndCause, RunEnd, RunOrder

_STRAY_SECONDS = 5.0
_LAST_WORDS_SECONDS = 1.0


class StraysSurviveError(RuntimeError):
    """Processes of a run could not be killed; the server must not be used again."""


class PoolGone(RuntimeError):
    """The pool closed its end or died."""


class _Watched:
    """One child: whether it has ended, and why it had to be killed if so."""

    def __init__(self, pid: int, order: RunOrder) -> None:
        self.pid = pid
        self.order = order
        self.pidfd = os.pidfd_open(pid)
        self.ended = False
        self.forced: EndCause | None = None

    def force(self, cause: EndCause) -> None:
        """Kill the child, unless it has ended."""
        if not self.ended and self.forced is None:
            self.forced = cause
            _kill(self.pid)

    def end(self) -> RunEnd:
        """Reap the child and say how it ended."""
        _, status, usage = os.wait4(self.pid, 0)
        os.close(self.pidfd)
        signaled = os.WIFSIGNALED(status)
        code = os.WTERMSIG(status) if signaled else os.WEXITSTATUS(status)
        cause = self.forced or (EndCause.SIGNAL if signaled else EndCause.EXIT)
        if self.forced is EndCause.OVER and not (signaled and code == signal.SIGKILL):
            # It ended by itself before it could be killed for the other's sake.
            cause = EndCause.SIGNAL if signaled else EndCause.EXIT
        return RunEnd(cause=cause, code=code, cpu_seconds=usage.ru_utime + usage.ru_stime)


def supervise(children: list[tuple[int, RunOrder]], control: socket.socket) -> list[RunEnd]:
    """Wait for the children's ends, ending them when a limit is hit or the pool says so.

    The run is over when the last of them, the one that judges, has ended: the others are killed
    then. CPU time is read from each child's own clock, so no candidate can stop or reset it. Kills
    whatever the children started; raises `StraysSurviveError` if that fails, and `PoolGone` (with
    everything dead) when the pool closed its end.
    """
    try:
        watched = [_Watched(pid, order) for pid, order in children]
        _watch(watched, control)
    except (PoolGone, OSError):
        for pid, _ in children:
            _kill(pid)
            os.waitpid(pid, 0)
        kill_strays()
        raise
    ends = [each.end() for each in watched]
    kill_strays()
    return ends


def _watch(watched: list[_Watched], control: socket.socket) -> None:
    """Return when all have ended or been killed."""
    poller = select.poll()
    poller.register(control.fileno(), select.POLLIN)
    for each in watched:
        poller.register(each.pidfd, select.POLLIN)
    deadline = time.monotonic() + min(each.order.wall_seconds for each in watched)
    cpu_left = min(each.order.cpu_seconds for each in watched)
    warned = False
    while not watched[-1].ended and watched[-1].forced is None:
        wall_left = deadline - time.monotonic()
        if wall_left <= 0:
            # The judge child, told by the closed link, may still say which call it was.
            _force_all(watched if warned else watched[:-1] or watched, EndCause.WALL)
            warned, deadline = True, time.monotonic() + _LAST_WORDS_SECONDS
            continue
        ready = dict(poller.poll(1 + 1000 * max(0, min(cpu_left, wall_left))))
        if control.fileno() in ready and _is_abort(control):
            _force_all(watched, EndCause.ABORTED)
            return
        for each in watched:
            if each.pidfd in ready:
                each.ended = True
                poller.unregister(each.pidfd)
        cpu_left = _keep_to_cpu(watched)
    _force_all(watched, EndCause.OVER)


def _keep_to_cpu(watched: list[_Watched]) -> float:
    """Kill who has no CPU time left; the least that another one has."""
    least = 3600.0
    for each in watched:
        if not each.ended and each.forced is None:
            left = each.order.cpu_seconds - _cpu_seconds(each.pid)
            if left <= 0:
                each.force(EndCause.CPU)
            else:
                least = min(least, left)
    return least


def _force_all(watched: list[_Watched], cause: EndCause) -> None:
    for each in watched:
        each.force(cause)


def _is_abort(control: socket.socket) -> bool:
    """Whether the pool says so; raises `PoolGone` when it is not there any more."""
    packet = control.recv(MAX_PACKET)
    if not packet:
        raise PoolGone
    return packet[:1] == ABORT


def _cpu_seconds(pid: int) -> float:
    """CPU time of another process; 0 for one that just ended.

    The clock id is built as clock_getcpuclockid(3) does: the process id's complement, shifted,
    with the scheduler's clock (2) in the low bits.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _kill(pid: int) -> None:
    """Kill a child that was not waited for, so that its number is still its own, and its group."""
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def kill_strays() -> None:
    """Kill and reap every remaining descendant of this process.

    The process is a subreaper: when a parent dies, its children become this process's own, so
    killing children until there are none ends the whole tree, daemons included. Raises
    `StraysSurviveError` after five seconds.
    """
    deadline = time.monotonic() + _STRAY_SECONDS
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid:
            continue
        if time.monotonic() > deadline:
            raise StraysSurviveError(f"processes {left_to_kill()} survive SIGKILL")
        for child in left_to_kill():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.001)

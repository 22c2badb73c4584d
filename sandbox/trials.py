"""Whether a layer holds, found by trying: throwaway children attempt what it must forbid.

Loaded by the fork server; standard library only.
"""

import _thread
import contextlib
import errno
import fcntl
import mmap
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from redline.sandbox import kernel

_SECONDS = 20.0
_KILLED = "SIGSYS"
_REFUSED = "refused"  # by an exception that carries no errno, as that of a thread that cannot start
_PIDS_GIVEN_OUT = 100
_NOBODY_LISTENS = ("127.0.0.1", 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that a layer must forbid."""

    name: str
    attempt: Callable[[], object]
    forbidden: frozenset[str]
    """How the attempt may end: names of errnos, `SIGSYS` or `refused`."""


class LayerDoesNotHold(OSError):
    """A layer was applied without an error, but does not forbid what it must."""


def must_forbid(acts: tuple[Act, ...], prepare: Callable[[], None] = lambda: None) -> None:
    """Let throwaway children attempt these acts after `prepare`.

    Raises `LayerDoesNotHold` naming the first that was not forbidden, and `OSError` when a child
    could not prepare itself.
    """
    left = acts
    while left:
        endings = _endings(left, prepare)
        for act, ending in zip(left, endings, strict=False):
            if ending not in act.forbidden:
                raise LayerDoesNotHold(0, f"{act.name}: {ending}")
        left = left[len(endings) :]


def _endings(acts: tuple[Act, ...], prepare: Callable[[], None]) -> list[str]:
    """How the first acts ended in one child: all of them, or up to one that killed it."""
    parent = os.getpid()
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        _attempt_all(acts, prepare, write_fd, parent)
    os.close(write_fd)
    try:
        told = _read_until_end(read_fd, pid)
    finally:
        os.close(read_fd)
        status = os.waitpid(pid, 0)[1]
    if told[:1] == ["!"]:
        raise OSError(int(told[1]), told[2])
    if os.WIFSIGNALED(status):
        told.append(signal.Signals(os.WTERMSIG(status)).name)
    if not told:
        raise OSError(errno.EPROTO, f"throwaway child ended with status {status}")
    return told


def _attempt_all(
    acts: tuple[Act, ...], prepare: Callable[[], None], out_fd: int, parent: int
) -> None:
    """The throwaway child; never returns, and neither does a process that it could start."""
    try:
        try:
            prepare()
        except OSError as error:
            os.write(out_fd, f"!\n{error.errno or 0}\n{error.strerror or error}\n".encode())
            os._exit(1)
        for act in acts:
            ending = _ending(act)
            if os.getppid() != parent:
                os._exit(0)  # a fork that was allowed: its parent tells
            os.write(out_fd, f"{ending}\n".encode())
    finally:
        os._exit(0)


def _ending(act: Act) -> str:
    try:
        act.attempt()
    except OSError as error:
        return kernel.errno_name(error)
    except RuntimeError:
        return _REFUSED
    return "allowed"


def _read_until_end(fd: int, pid: int) -> list[str]:
    """Lines of a child; one that takes too long is killed."""
    text = b""
    deadline = time.monotonic() + _SECONDS
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    while True:
        if not poller.poll(max(0.0, 1000 * (deadline - time.monotonic()))):
            os.kill(pid, signal.SIGKILL)
            return text.decode().splitlines()
        chunk = os.read(fd, 4096)
        if not chunk:
            return text.decode().splitlines()
        text += chunk


def _act(name: str, attempt: Callable[[], object], *forbidden: str) -> Act:
    return Act(name=name, attempt=attempt, forbidden=frozenset(forbidden))


def namespace_acts(outside_pid: int) -> tuple[Act, ...]:
    """What the namespaces alone must forbid; `outside_pid` is a process outside them.

    In a container that may have a number that the namespace itself gives out; then it proves
    nothing and is left out.
    """
    look = _act("see a process outside", lambda: os.kill(outside_pid, 0), "ESRCH")
    return (
        *((look,) if outside_pid > _PIDS_GIVEN_OUT else ()),
        _act("see a file", lambda: os.lstat("/etc"), "ENOENT"),
        _act("make a folder", lambda: os.mkdir("/probe"), "EROFS"),  # noqa: PTH102
        _act("reach the loopback", lambda: _connect(_NOBODY_LISTENS), "ENETUNREACH"),
        _act("mount", lambda: kernel.mount("none", "/", "tmpfs", 0, None), "EPERM"),
        _act("rename the machine", lambda: socket.sethostname("probe"), "EPERM"),
    )


def landlock_acts(*, network: bool) -> tuple[Act, ...]:
    """What Landlock alone must forbid; TCP only where the kernel's version covers it."""
    files = _act("open a folder", lambda: os.open("/", os.O_RDONLY), "EACCES")
    tcp = _act("connect by TCP", lambda: _connect(_NOBODY_LISTENS), "EACCES")
    return (files, tcp) if network else (files,)


def filter_acts() -> tuple[Act, ...]:
    """What the system-call filter must forbid."""
    return (
        _act("open a file", lambda: os.open("/", os.O_RDONLY), "EACCES"),
        _act("make a memory file", lambda: os.memfd_create("probe"), "EPERM"),
        _act("open a socket", lambda: socket.socket().close(), "EACCES"),
        _act("start a process", os.fork, "EPERM"),
        _act("start a thread", lambda: _thread.start_new_thread(int, ()), _REFUSED),
        _act("signal the server", lambda: os.kill(os.getppid(), 0), "EPERM"),
        _act("own signals", lambda: fcntl.fcntl(1, fcntl.F_SETOWN, os.getppid()), "EPERM"),
        _act("use ioctl", lambda: fcntl.ioctl(1, 0x541B, b"\0" * 4), "ENOTTY"),
        _act("use prctl", lambda: kernel.prctl(kernel.PR_SET_DUMPABLE, 1), "EPERM"),
        _act("map executable memory", _map_executable, "EPERM"),
        _act("trace", lambda: kernel.syscall("ptrace", 101, 0, 0, 0, 0), _KILLED),
        _act("make a namespace", lambda: kernel.unshare(0x1000_0000, "user"), _KILLED),
        _act("use io_uring", lambda: kernel.syscall("io_uring_setup", 425, 1, None), _KILLED),
        _act("call by x32 numbers", lambda: kernel.syscall("x32", 0x4000_0027), _KILLED),
    )


def _map_executable() -> None:
    prot = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    mmap.mmap(-1, 4096, prot=prot).close()


def _connect(address: tuple[str, int]) -> None:
    with contextlib.closing(socket.socket()) as client:
        client.connect(address)

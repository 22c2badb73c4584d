"""Namespaces: the fork server becomes process 1 of a world that holds nothing.

Entered once, so that an execution costs no more than a fork. The world has its own users (one),
processes, network (not even a loopback that is up), IPC, host name and mounts (an empty read-only
root). /proc is never mounted there.

Loaded by the fork server; standard library only.
"""

import errno
import os
import signal

from redline.sandbox import kernel

_USER, _PID, _NET, _IPC, _UTS, _MOUNT = (
    0x1000_0000, 0x2000_0000, 0x4000_0000, 0x0800_0000, 0x0400_0000, 0x0002_0000,
)  # fmt: skip
_OTHERS = (("pid", _PID), ("net", _NET), ("ipc", _IPC), ("uts", _UTS), ("mount", _MOUNT))

_NOSUID, _NODEV, _NOEXEC, _RDONLY = 2, 4, 8, 1
_REMOUNT, _BIND, _REC, _PRIVATE = 32, 4096, 16_384, 1 << 18
_BARE = _NOSUID | _NODEV | _NOEXEC

_INSIDE_ID = 1000
"""Not 0: a root user would regain capabilities by executing a file."""
_PLACES = ("/tmp", "/usr", "/var", "/mnt")
"""Where the new root may be mounted for a moment; nobody else sees it there."""


def enter() -> None:
    """Leave the machine's namespaces, its files and all capabilities; raises `OSError`.

    Processes started from here on live in the new process namespace, the first of them as its
    process 1; the calling process itself stays outside that one. After an error the process is in
    an undefined state and must end.
    """
    outside_user, outside_group = os.geteuid(), os.getegid()
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # else its own /proc files belong to root
    kernel.unshare(_USER, "user")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{_INSIDE_ID} {outside_user} 1")
    _write("/proc/self/gid_map", f"{_INSIDE_ID} {outside_group} 1")
    for name, flag in _OTHERS:  # one by one, so that an error names the one that is refused
        kernel.unshare(flag, name)
    _empty_root()
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


def become_first_process(control_fd: int) -> int:
    """Go on as process 1 of the new process namespace; returns its pid as seen from outside.

    The process that called stays behind, waits and ends as the first one does; it never returns.
    If it is killed the kernel kills the first process, and with it everything in the namespace; it
    is killed when the pool dies, even while the first process is stopped and sees no end of it.
    """
    pid_read, pid_write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(control_fd)
        os.write(pid_write, b"%d" % pid)
        os.close(pid_write)
        # Only now: a change of user or of capabilities would undo it.
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.close(pid_write)
    if os.getpid() != 1:
        raise OSError(errno.EPROTO, f"process {os.getpid()} instead of 1 of its namespace")
    try:
        return int(os.read(pid_read, 20))
    finally:
        os.close(pid_read)


def _empty_root() -> None:
    """Make an empty read-only file system the root, and let go of all others."""
    kernel.mount("none", "/", None, _REC | _PRIVATE, None)
    place = next((each for each in _PLACES if os.path.isdir(each)), "/")  # noqa: PTH112
    kernel.mount("none", place, "tmpfs", _BARE, "size=4k,nr_inodes=2,mode=555")
    os.chdir(place)
    kernel.pivot_root(".", ".")  # the old root now lies over the new one
    kernel.unmount_lazily(".")
    os.chdir("/")
    kernel.mount("none", "/", None, _REMOUNT | _BIND | _RDONLY | _BARE, None)


def _write(path: str, text: str) -> None:
    """Write to a file of /proc; the error names it."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise OSError(error.errno, f"write {path}: {error.strerror}") from error
    finally:
        os.close(fd)

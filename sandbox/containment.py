"""What a forked child does to itself before it reads its payload.

Every step either works or raises `ContainmentError`: a child that could not contain itself never
runs a program. Applying fewer layers than `Layers` says is a fault of the sandbox, not a verdict.

Loaded by the fork server; standard library only.
"""

import fcntl
import os
import resource
import signal
from dataclasses import dataclass

from redline.sandbox import kernel
from redline.sandbox.bpf import FilterProgram
from redline.sandbox.seccomp import install
from redline.sandbox.tiers import Tier
from redline.sandbox.wire import RunOrder

PAYLOAD_FD = 3
RESULT_FD = 4
PROOF_FD = 5
LINK_READ_FD = 6
LINK_WRITE_FD = 7
_FIRST_FREE_FD = 8

_MAX_OPEN_FILES = 32
_MEMORY_RESERVE = 32 << 20  # what the child may use to report that it ran out of memory

_children_fd = -1


class ContainmentError(OSError):
    """A layer could not be applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """What every child of this server is put under, found by trying when the server started."""

    tier: Tier
    uid: int | None
    """User and group the child becomes; None where it keeps the server's."""
    base_memory_bytes: int
    """Address space of the server, on top of which a run's memory limit counts."""
    filter: FilterProgram | None
    """The system-call filter; None at tier `none`."""


def find_user() -> tuple[int | None, str]:
    """A user for candidates alone, or None and why there is none.

    A user id of its own puts the other servers and their candidates out of reach of `kill` and
    `ptrace`, and it makes the limit on processes hold, from which root is exempt.
    """
    if os.geteuid() != 0:
        return None, "only root can give candidates another user"
    for uid in (1_000_000_000 + os.getpid(), 65_534):
        if _can_become(uid):
            return uid, ""
    return None, "setresuid is refused"


def become(uid: int) -> None:
    """Take this user and group for good, and no other group."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def remember_children() -> None:
    """Keep the kernel's list of this process's children open, while files can be opened."""
    global _children_fd
    if os.getpid() != 1:
        _children_fd = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY)


def left_to_kill() -> list[int]:
    """What to send SIGKILL to until no child is left: pids of children, or -1.

    For process 1 of a namespace, -1 means all others of the namespace.
    """
    if os.getpid() == 1:
        return [-1]
    return [int(pid) for pid in os.pread(_children_fd, 65_536, 0).split()]


def keep_only(
    payload_fd: int, result_fd: int, proof_fd: int, link_fds: tuple[int, int] | None = None
) -> None:
    """Move these to `PAYLOAD_FD`, `RESULT_FD` and `PROOF_FD`, and close all others.

    `link_fds`, where there is another child to talk to, become `LINK_READ_FD` and `LINK_WRITE_FD`.

    Output goes to a memory file that is lost. A memory file instead of a pipe: nobody has to read
    it while the child runs, and the limit on file size caps it.
    """
    output_fd = os.memfd_create("output")
    kept = {PAYLOAD_FD: payload_fd, RESULT_FD: result_fd, PROOF_FD: proof_fd}
    kept |= {1: output_fd, 2: output_fd}
    if link_fds is not None:
        kept |= dict(zip((LINK_READ_FD, LINK_WRITE_FD), link_fds, strict=True))
    high = {target: _above_fixed(fd) for target, fd in kept.items()}
    for target, source in high.items():
        os.dup2(source, target, inheritable=False)
    os.closerange(max(kept) + 1, 1 << 20)


def contain(order: RunOrder, layers: Layers, parent: int) -> None:
    """Give up everything that the candidate must not have; raises `ContainmentError`."""
    try:
        os.setsid()
        _limit(order, layers)
        if layers.uid is not None:
            become(layers.uid)
        # After the change of user, which would undo a parent-death signal and exempt root.
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        if os.getppid() != parent:
            raise ContainmentError("the fork server died meanwhile")
        os.environ.clear()
        if layers.filter is not None:
            install(layers.filter)  # last: it refuses what the steps before it need
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        failure = ContainmentError(told)
        failure.errno = getattr(error, "errno", None)
        raise failure from error


def lift_memory_reserve() -> None:
    """Let the child use its reserve, to report that it ran out of memory."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def allow_file_bytes(count: int, order: RunOrder) -> None:
    """Set the soft limit on file size: the result file may grow larger than the output."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, _largest_file(order)))


def _above_fixed(fd: int) -> int:
    """The same file under a number that no later move overwrites."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE_FD)


def _limit(order: RunOrder, layers: Layers) -> None:
    soft_memory = layers.base_memory_bytes + order.memory_bytes
    cpu = int(order.cpu_seconds) + 1  # whole seconds; the server counts finer
    for which, soft, hard in (
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_AS, soft_memory, soft_memory + _MEMORY_RESERVE),
        (resource.RLIMIT_FSIZE, order.output_bytes, _largest_file(order)),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES, _MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
    ):
        resource.setrlimit(which, (soft, hard))


def _largest_file(order: RunOrder) -> int:
    return max(order.output_bytes, order.result_bytes)


def _can_become(uid: int) -> bool:
    pid = os.fork()
    if pid == 0:
        try:
            become(uid)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0

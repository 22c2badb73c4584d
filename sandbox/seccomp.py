"""The system-call filter of a contained child.

Three answers: what a running interpreter needs is allowed; what an honest program may try (open a
file, a socket, a thread) fails with an errno, so that Python raises and the test fails like any
other; what only an attack uses kills the process.

Loaded by the fork server; standard library only.
"""

import ctypes
import errno
import platform
import struct

from redline.sandbox.bpf import (
    ALLOW,
    KILL,
    FilterProgram,
    OnlyValues,
    Rule,
    WithoutBits,
    compile_filter,
    fail,
)
from redline.sandbox.kernel import PR_SET_SECCOMP, prctl

ARCHITECTURE = "x86_64"
"""The only machine whose numbers are written down here."""
_AUDIT_ARCH_X86_64 = 0xC000003E
_X32_BIT = 0x4000_0000
_MODE_FILTER = 2

_DENIED = fail(errno.EPERM)
_NO_FILES = fail(errno.EACCES)
_PROT_EXEC = 4
_FCNTL_COMMANDS = (0, 1, 2, 3, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC. Not F_SETFL: its O_ASYNC, with F_SETOWN and
F_SETSIG, lets the kernel send any signal to any process of the same user."""

_ALLOWED = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "munmap": 11, "brk": 12,
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17, "pwrite64": 18,
    "readv": 19, "writev": 20, "select": 23, "sched_yield": 24, "mremap": 25, "madvise": 28,
    "dup": 32, "dup2": 33, "pause": 34, "nanosleep": 35, "getitimer": 36, "alarm": 37,
    "setitimer": 38, "getpid": 39, "exit": 60, "gettimeofday": 96, "getrusage": 98, "times": 100,
    "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110,
    "getgroups": 115, "getresuid": 118, "getresgid": 120, "sigaltstack": 131, "gettid": 186,
    "time": 201, "futex": 202, "sched_getaffinity": 204, "restart_syscall": 219,
    "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231,
    "pselect6": 270, "ppoll": 271, "dup3": 292, "getrandom": 318,
}  # fmt: skip

_RULES: dict[int, Rule] = {
    9: WithoutBits(argument=2, bits=_PROT_EXEC, otherwise=_DENIED),  # mmap
    10: WithoutBits(argument=2, bits=_PROT_EXEC, otherwise=_DENIED),  # mprotect
    16: fail(errno.ENOTTY),  # ioctl: what `isatty` expects of anything but a terminal
    72: OnlyValues(argument=1, values=_FCNTL_COMMANDS, otherwise=_DENIED),  # fcntl
    302: OnlyValues(argument=0, values=(0,), otherwise=_DENIED),  # prlimit64, of oneself
}

_FILES = {
    "open": 2, "stat": 4, "lstat": 6, "access": 21, "socket": 41, "socketpair": 53, "execve": 59,
    "truncate": 76, "getdents": 78, "getcwd": 79, "chdir": 80, "fchdir": 81, "rename": 82,
    "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88, "readlink": 89,
    "chmod": 90, "chown": 92, "lchown": 94, "mknod": 133, "statfs": 137, "getdents64": 217,
    "openat": 257, "mkdirat": 258, "mknodat": 259, "newfstatat": 262, "unlinkat": 263,
    "renameat": 264, "linkat": 265, "symlinkat": 266, "readlinkat": 267, "fchmodat": 268,
    "faccessat": 269, "renameat2": 316, "execveat": 322, "statx": 332, "openat2": 437,
    "faccessat2": 439,
}  # fmt: skip
"""Calls that fail like a file that may not be opened. `newfstatat` among them although some C
libraries use it for `fstat`: its path cannot be seen here, and Python does without."""

_ATTACKS = {
    "ptrace": 101, "personality": 135, "modify_ldt": 154, "pivot_root": 155, "chroot": 161,
    "acct": 163, "mount": 165, "umount2": 166, "swapon": 167, "reboot": 169, "iopl": 172,
    "ioperm": 173, "init_module": 175, "delete_module": 176, "kexec_load": 246, "add_key": 248,
    "request_key": 249, "keyctl": 250, "unshare": 272, "rt_tgsigqueueinfo": 297,
    "perf_event_open": 298, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313,
    "seccomp": 317, "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431,
    "fsmount": 432, "fspick": 433, "pidfd_open": 434, "pidfd_getfd": 438, "process_madvise": 440,
    "mount_setattr": 442, "memfd_secret": 447, "process_mrelease": 448,
}  # fmt: skip


class NoFilterError(OSError):
    """There is no filter for this machine."""


def build_filter() -> FilterProgram:
    """The filter, to be built once and installed in every child; raises `NoFilterError`."""
    machine, bits = platform.machine(), 8 * struct.calcsize("P")
    if machine != ARCHITECTURE or bits != 64:
        raise NoFilterError(
            errno.ENOSYS, f"system-call filter: written for {ARCHITECTURE} of 64 bits only, "
            f"this is {machine} of {bits} bits"
        )  # fmt: skip
    code = compile_filter(
        rules(), default=_DENIED, architecture=_AUDIT_ARCH_X86_64, foreign_bit=_X32_BIT
    )
    return FilterProgram.of(code)


def rules() -> dict[int, Rule]:
    """What happens to each system call that is not simply refused with EPERM."""
    table: dict[int, Rule] = dict.fromkeys(_ALLOWED.values(), ALLOW)
    table |= dict.fromkeys(_FILES.values(), _NO_FILES)
    table |= dict.fromkeys(_ATTACKS.values(), KILL)
    return table | _RULES


def install(program: FilterProgram) -> None:
    """Put the calling process under the filter for good; it must have no_new_privs."""
    prctl(PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program))

"""Run a command with fewer rights, to meet the refusals of poorer machines.

    python confined.py [--free] [--no-landlock] [--no-seccomp] COMMAND ...

Takes the user 65534 if it is root, sets no_new_privs and lets unshare, mount, setns and clone with
namespace flags fail with EPERM, as the default profile of container runtimes does. `--free` leaves
that filter out, `--no-landlock` lets Landlock fail with ENOSYS, as on an old kernel, and
`--no-seccomp` further filters with EINVAL.
"""

import errno
import itertools
import os
import sys
from pathlib import Path

from redline.sandbox import kernel
from redline.sandbox.bpf import ALLOW, FilterProgram, OnlyValues, WithoutBits, compile_filter, fail
from redline.sandbox.containment import become
from redline.sandbox.seccomp import install

NAMESPACE_FLAGS = 0x7E02_0000
UNSHARE, MOUNT, SETNS, CLONE, CLONE3, PRCTL, SECCOMP = 272, 165, 308, 56, 435, 157, 317
LANDLOCK = (444, 445, 446)
PRCTLS_BUT_SECCOMP = tuple(number for number in range(80) if number != kernel.PR_SET_SECCOMP)
BIND, RECURSIVE, PRIVATE = 4096, 16_384, 1 << 18


def main(arguments):
    flags = set(itertools.takewhile(lambda each: each.startswith("--"), arguments))
    command = arguments[len(flags) :]
    if os.geteuid() == 0:
        make_reachable([sys.base_prefix, sys.prefix, str(Path(__file__).parents[1])])
        become(65_534)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if "--free" not in flags:
        table = rules(flags)
        code = compile_filter(
            table, default=ALLOW, architecture=0xC000_003E, foreign_bit=0x4000_0000
        )
        install(FilterProgram.of(code))
    os.execv(command[0], command)


def rules(flags):
    denied = fail(errno.EPERM)
    table = {UNSHARE: denied, MOUNT: denied, SETNS: denied, CLONE3: fail(errno.ENOSYS)}
    table[CLONE] = WithoutBits(argument=0, bits=NAMESPACE_FLAGS, otherwise=denied)
    if "--no-landlock" in flags:
        table |= dict.fromkeys(LANDLOCK, fail(errno.ENOSYS))
    if "--no-seccomp" in flags:
        invalid = fail(errno.EINVAL)
        table[SECCOMP] = invalid
        table[PRCTL] = OnlyValues(argument=0, values=PRCTLS_BUT_SECCOMP, otherwise=invalid)
    return table


def make_reachable(paths):
    """Show these folders to all users: in a mount namespace of its own, a folder that only root may
    enter is replaced by one that holds nothing else."""
    closed = {}
    for path in paths:
        parents = [str(parent) for parent in reversed(Path(path).parents)]
        if barred := [parent for parent in parents if not Path(parent).stat().st_mode & 0o001]:
            closed.setdefault(barred[0], []).append(path)
    if closed:
        kernel.unshare(0x2_0000, "mount")
        kernel.mount("none", "/", None, RECURSIVE | PRIVATE, None)
    for parent, inside in closed.items():
        kept = {path: os.open(path, os.O_PATH) for path in inside}
        kernel.mount("none", parent, "tmpfs", 0, "mode=755")
        for path, fd in kept.items():
            Path(path).mkdir(parents=True)
            kernel.mount(f"/proc/self/fd/{fd}", path, None, BIND, None)
            os.close(fd)


if __name__ == "__main__":
    main(sys.argv[1:])

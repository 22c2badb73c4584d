"""Linux calls that the standard library does not offer, each raising `OSError` that names it.

Loaded by the fork server; standard library only.
"""

import ctypes
import errno
import os
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
_OPTIONS = {number: name for name, number in list(globals().items()) if name.startswith("PR_")}
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int, pointer: Any = 0) -> None:
    """prctl(2)."""
    arguments = (ctypes.c_ulong(value), pointer, ctypes.c_ulong(0), ctypes.c_ulong(0))
    _checked(_libc.prctl(option, *arguments), f"prctl({_OPTIONS.get(option, option)})")


def syscall(what: str, number: int, *arguments: Any) -> int:
    """A system call that the C library has no function for; `what` names it in errors."""
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments), what)


def unshare(flags: int, what: str) -> None:
    """unshare(2); `what` names the namespaces in errors."""
    _checked(_libc.unshare(flags), f"unshare({what})")


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None) -> None:
    """mount(2)."""
    arguments = (_text(source), _text(target), _text(kind), ctypes.c_ulong(flags), _text(options))
    _checked(_libc.mount(*arguments), f"mount({kind or 'flags of'} {target})")


def unmount_lazily(target: str) -> None:
    """umount2(2) with MNT_DETACH."""
    _checked(_libc.umount2(_text(target), 2), f"umount({target})")


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)."""
    _checked(_libc.pivot_root(_text(new), _text(old)), "pivot_root")


def drop_capabilities() -> None:
    """Give up every capability, for this process and all that it starts."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice 32 bits each
    _checked(_libc.capset(header, sets), "capset")


def errno_name(error: OSError) -> str:
    """`EPERM` and the like."""
    return errno.errorcode.get(error.errno or 0, f"errno {error.errno}")


def _text(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result

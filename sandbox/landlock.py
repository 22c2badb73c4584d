"""Landlock: this process and all that it starts may open no file and make no TCP connection.

Source of the numbers: the kernel's `include/uapi/linux/landlock.h`; system call numbers are the
same on every architecture. Loaded by the fork server; standard library only.
"""

import ctypes
import os

from redline.sandbox.kernel import syscall

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION_FLAG = 1
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many access rights to files each version of the interface knows; later ones as the last."""
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6
_BOTH = 0b11  # bind and connect of TCP; abstract sockets and signals


class _Ruleset(ctypes.Structure):
    """`struct landlock_ruleset_attr`."""

    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


def interface_version() -> int:
    """The version of Landlock that the kernel offers.

    Raises `OSError`: ENOSYS where the kernel is too old or a profile hides it, EOPNOTSUPP where it
    was not enabled at boot.
    """
    return syscall("landlock_create_ruleset", _CREATE_RULESET, None, 0, _VERSION_FLAG)


def restrict() -> int:
    """Forbid everything that this kernel's Landlock can forbid; returns its version.

    A ruleset that handles all rights and grants none. The process must have no_new_privs. Open
    descriptors stay usable, memory files too.
    """
    version = interface_version()
    ruleset = _Ruleset(
        handled_access_fs=(1 << _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))]) - 1,
        handled_access_net=_BOTH if version >= _NETWORK_SINCE else 0,
        scoped=_BOTH if version >= _SCOPES_SINCE else 0,
    )
    # An older kernel refuses a longer structure than it knows unless the rest is zero: it is.
    size = ctypes.sizeof(ruleset)
    fd = syscall("landlock_create_ruleset", _CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    try:
        syscall("landlock_restrict_self", _RESTRICT_SELF, fd, 0)
    finally:
        os.close(fd)
    return version


def forbids_network(version: int) -> bool:
    """Whether this version covers TCP."""
    return version >= _NETWORK_SINCE

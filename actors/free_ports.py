"""Free ports for engines and agents that are told a port before they listen on it.

Between the choice and its use seconds may pass, in which the kernel may hand a port of its own
range (Linux: net.ipv4.ip_local_port_range) to any outgoing connection, of which a starting cluster
makes hundreds. Ports below that range are only taken by those who name them.
"""

import contextlib
import random
import socket
from pathlib import Path

_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 20_000
_ATTEMPTS = 1_000
_RANDOM = random.SystemRandom()  # never seeded: two runs that start at once choose differently


def free_ports(count: int) -> list[int]:
    """Different ports, below the kernel's own range, that nobody on this machine listens on.

    Raises OSError when there are not that many.
    """
    highest = _first_ephemeral() - 1
    found: list[int] = []
    with contextlib.ExitStack() as held:
        for _ in range(_ATTEMPTS):
            if len(found) == count:
                return found
            candidate = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                candidate.bind(("", _RANDOM.randint(_LOWEST, highest)))
                found.append(candidate.getsockname()[1])
    raise OSError(f"no {count} free ports between {_LOWEST} and {highest}")


def _first_ephemeral() -> int:
    """First port of the kernel's own range; where that starts too low, its usual start."""
    first = int(_EPHEMERAL_RANGE.read_text().split()[0])
    return first if first > _LOWEST + _ATTEMPTS else 32_768

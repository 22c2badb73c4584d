"""What of a Ray cluster can be seen from here: is it there, and would it let us in."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_SECONDS_TO_CONNECT = 3.0
_PORTS = {"ray": 10001, "http": 80, "https": 443}
_NO_CLUSTER = ("", "local")
_CURRENT = Path("/tmp/ray/ray_current_cluster")
"""Where `ray start` leaves the address of the cluster that this machine belongs to."""
_TOKEN = "~/.ray/auth_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A cluster that was named, and who named it."""

    address: str
    named_by: str
    host: str
    port: int


def named_cluster(address: str | None) -> Place | None:
    """The cluster at `address`, else in RAY_ADDRESS, else that of this machine; None without one.

    Raises ValueError for an address that has no port.
    """
    current = _CURRENT.read_text(encoding="utf-8").strip() if _CURRENT.is_file() else ""
    candidates = (
        ("--address", address or ""),
        ("RAY_ADDRESS", os.environ.get("RAY_ADDRESS", "")),
        (str(_CURRENT), current),
    )
    for named_by, candidate in candidates:
        if candidate == "auto":
            continue  # the one of this machine, which comes last
        if candidate not in _NO_CLUSTER:
            host, port = _host_and_port(candidate)
            return Place(address=candidate, named_by=named_by, host=host, port=port)
    return None


def reach(place: Place) -> str:
    """Empty when something listens there, else why not."""
    try:
        with socket.create_connection((place.host, place.port), timeout=_SECONDS_TO_CONNECT):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def token_places() -> tuple[str | None, list[str]]:
    """Where Ray's token is, if it is anywhere; and variables that point to nothing."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "RAY_AUTH_TOKEN", []
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if named:
        return (named, []) if Path(named).is_file() else (None, [f"RAY_AUTH_TOKEN_PATH={named}"])
    default = Path(_TOKEN).expanduser()
    return (str(default) if default.is_file() else None), []


def _host_and_port(address: str) -> tuple[str, int]:
    parts = urlsplit(address if "://" in address else f"//{address}")
    port = parts.port or _PORTS.get(parts.scheme)
    if not parts.hostname or port is None:
        raise ValueError(f"{address!r} is no address: expected HOST:PORT or http://HOST:PORT")
    return parts.hostname, port

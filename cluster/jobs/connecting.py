"""A job server for a command."""

import os

from redline.cluster.jobs.address import dashboard_address
from redline.cluster.jobs.server import JobServer


def connect(address: str | None) -> JobServer:
    """The job server at an address, or at the one of the environment; UserError when none is."""
    chosen = dashboard_address(address)
    # Ray reads this once, at import.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    from redline.cluster.jobs.ray_server import RayJobServer

    return RayJobServer(chosen)

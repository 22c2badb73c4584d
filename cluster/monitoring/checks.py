"""Whether the metrics can go where the configuration sends them; asked before anything starts."""

import importlib.util
import socket

from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError


def check_metrics(config: RunConfig) -> None:
    """UserError when a tracker's package is missing or the port is in use."""
    for name in config.metrics.sinks:
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"metrics.sinks has {name!r}, but its package is not installed: "
                f"pip install {name}, or leave it out of metrics.sinks"
            )
    port = config.metrics.port
    if port is None:
        return
    if config.ray.address is not None:
        raise UserError(
            f"metrics.port={port} is for a local cluster, but ray.address="
            f"{config.ray.address} joins another one: leave it null, and start that one's nodes "
            "with `ray start --metrics-export-port`"
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            raise UserError(
                f"metrics.port={port} cannot be used: {error.strerror}; choose another one"
            ) from error

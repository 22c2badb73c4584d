"""Ports for the agents of a local Ray node, chosen before it starts.

Ray's node waits 15 s for files in which its agents tell their ports, and ends itself when they are
late; on two busy cores they are. With ports that are given it does not wait at all, and starts in
half the time. `ray.init` has no arguments for them (Ray 2.60), so they are set on its parameters.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from redline.actors.free_ports import free_ports

_AGENTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
    "runtime_env_agent_port",
)


@contextlib.contextmanager
def chosen_agent_ports(*, metrics_port: int | None = None) -> Iterator[None]:
    """Give the node that `ray.init` starts in this block free ports for its agents.

    `metrics_port` is the one where Prometheus scrapes; None chooses it too.
    """
    from ray._private.parameter import RayParams

    original = RayParams.update_if_absent

    def update_if_absent(self: Any, **values: Any) -> None:
        if values.keys() >= set(_AGENTS):
            ports = dict(zip(_AGENTS, free_ports(len(_AGENTS)), strict=True))
            if metrics_port is not None:
                ports["metrics_export_port"] = metrics_port
            for name, port in ports.items():
                values[name] = port
                setattr(self, name, port)
        original(self, **values)

    RayParams.update_if_absent = update_if_absent
    try:
        yield
    finally:
        RayParams.update_if_absent = original

"""Ray: starting or joining a cluster, and turning plain classes into actors.

Beside this module only `ray_ports.py`, `handles.py`, `learner_handle.py`, `jobs/ray_server.py`,
`monitoring/ray_export.py` and `workers/ray_workers.py` import ray.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from redline.cluster.checks.resources import (
    Need,
    Offer,
    check_placeable,
    local_cpus,
    local_resources,
    needs_of,
    offer_of,
)
from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError, WorkFailed, one_line
from redline.cluster.plugins import import_plugins
from redline.cluster.ray_ports import chosen_agent_ports

CALLS_AT_ONCE = 10_000
"""Concurrent calls of an asynchronous actor: more than there are groups or requests."""
_MIB = 2**20
_STARTS = 2
_HEART = "heart"
_COMMON: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
_QUIET = {
    # What a run of one driver does not need, and what would only take cores from it.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "300000",  # a busy machine may need longer than 30 s
    "RAY_enable_metrics_collection": "0",
    "RAY_event_stats": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_task_events_report_interval_ms": "0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plugins:
    """What every worker imports before it starts."""

    names: tuple[str, ...]
    folder: str
    """The driver's working folder, where it found modules that are not installed."""

    def load(self) -> None:
        """Import the modules in this process."""
        if self.names and self.folder not in sys.path:
            sys.path.append(self.folder)
        import_plugins(self.names)


class Cluster:
    """A connection to Ray for the length of a run."""

    def __init__(
        self, config: RunConfig, logs: Path, *, needs: Sequence[Need] | None = None
    ) -> None:
        """Start a local cluster or join the configured one.

        Raises UserError when there is none at the address or it lacks the resources: `needs`, or
        those of a whole run.
        """
        self._logs = logs if config.ray.address is None else None
        # Other runs on the cluster have workers of the same names.
        self._namespace = f"redline-{config.name}-{secrets.token_hex(4)}"
        self._plugins = _Plugins(names=tuple(config.plugins), folder=str(Path.cwd()))
        _connect(config)
        try:
            check_placeable(needs_of(config) if needs is None else needs, self.offers())
        except BaseException:
            self.stop()
            raise

    def offers(self) -> list[Offer]:
        """Free resources of every live node."""
        from ray._private.state import available_resources_per_node

        free = available_resources_per_node()
        return [
            offer_of(node["NodeManagerHostname"], free.get(node["NodeID"], {}))
            for node in ray.nodes()
            if node["Alive"]
        ]

    def actor(
        self,
        cls: type,
        *,
        name: str,
        num_cpus: float,
        num_gpus: float = 0.0,
        resources: dict[str, float] | None = None,
        threads: int = 1,
        concurrency: int | None = None,
        beside_driver: bool = False,
        own_heart: bool = False,
        arguments: dict[str, Any],
    ) -> Any:
        """Make an actor of a plain class; returns its handle at once.

        `concurrency` is the number of calls that an asynchronous actor runs at once. One
        `beside_driver` runs on the driver's node: it writes to the run's folder. One whose calls
        are long and come one after the other has `own_heart`, a thread that answers `heartbeat`.
        """
        options: dict[str, Any] = {
            "name": name,
            "namespace": self._namespace,
            "num_cpus": num_cpus,
            "num_gpus": num_gpus,
            "resources": resources or {},
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(max(1, threads))}},
        }
        if concurrency is not None:
            options["max_concurrency"] = concurrency
        if beside_driver:
            here = ray.get_runtime_context().get_node_id()
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(here, soft=False)
        log = None if self._logs is None else str(self._logs / f"{name}.log")
        made = _logged(cls)
        remote = _with_heart(made) if own_heart else ray.remote(made)
        return remote.options(**options).remote(_log=log, _plugins=self._plugins, **arguments)

    def stop(self) -> None:
        """Leave the cluster; a local one ends."""
        ray.shutdown()

    async def stop_within(self, seconds: float) -> None:
        """Leave the cluster, but wait no longer than this for its processes to end."""
        leaving = threading.Thread(target=ray.shutdown, name="leave-ray", daemon=True)
        leaving.start()
        deadline = time.monotonic() + seconds
        while leaving.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(0.05)


def _connect(config: RunConfig) -> None:
    address = config.ray.address
    with _stdout_kept_for_results():
        if address is None:
            _start_local(config)
            return
        try:
            ray.init(address=address, **_COMMON)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(
                f"no Ray cluster at ray.address={address}: {one_line(error)}; start one with "
                "`ray start --head` or leave ray.address null for a local one"
            ) from error


def _start_local(config: RunConfig) -> None:
    """Start a cluster of this machine's own; a second time if something went wrong."""
    for name, value in (_QUIET | _metrics_environment(config)).items():
        os.environ.setdefault(name, value)
    before = set(psutil.Process().children(recursive=True))
    for attempt in range(_STARTS):
        try:
            with chosen_agent_ports(metrics_port=config.metrics.port):
                ray.init(
                    num_cpus=local_cpus(config),
                    resources=local_resources(config),
                    object_store_memory=config.ray.object_store_mib * _MIB,
                    include_dashboard=False,
                    **_COMMON,
                )
        except Exception as error:
            ray.shutdown()
            for process in set(psutil.Process().children(recursive=True)) - before:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            if attempt + 1 == _STARTS:
                raise WorkFailed(f"Ray did not start: {one_line(error)}") from error
        else:
            return


def _metrics_environment(config: RunConfig) -> dict[str, str]:
    """What a local cluster that is scraped needs beyond, or against, what keeps it quiet."""
    if config.metrics.port is None:
        return {}
    return {"RAY_enable_metrics_collection": "1", "RAY_metrics_report_interval_ms": "5000"}


def _logged(cls: type) -> type:
    """The class with its process's output going to a file of the run from the start.

    It can also be asked where it is.
    """

    class Logged(cls):
        def __init__(self, *, _log: str | None, _plugins: _Plugins, **arguments: Any) -> None:
            if _log is not None:
                _redirect_output(_log)
            _plugins.load()
            super().__init__(**arguments)

        def node_address(self) -> str:
            """Address of the machine that this actor runs on, as the cluster knows it."""
            return ray.util.get_node_ip_address()

    Logged.__name__ = cls.__name__
    Logged.__qualname__ = cls.__qualname__
    return Logged


def _with_heart(cls: type) -> Any:
    """The class as a remote one, with a sign of life that it gives while another call runs."""

    class Beating(cls):
        @ray.method(concurrency_group=_HEART)
        def heartbeat(self) -> None:
            """Answer, which a process that was stopped does not."""

    Beating.__name__ = cls.__name__
    Beating.__qualname__ = cls.__qualname__
    return ray.remote(concurrency_groups={_HEART: 1})(Beating)


def _redirect_output(path: str) -> None:
    """Send stdout and stderr of this process and of its children to a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


@contextlib.contextmanager
def _stdout_kept_for_results() -> Iterator[None]:
    """Ray announces token authentication on stdout at every start: keep stdout for results."""
    with contextlib.redirect_stdout(sys.stderr):
        yield

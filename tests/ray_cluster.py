"""A Ray cluster of two nodes on this machine, as `ray start` makes it, with a token of its own."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

import psutil

from redline.actors.free_ports import free_ports
from redline.cluster.guardian import MARKER, members

BIN = Path(sys.executable).parent
_AGENTS = (
    "--dashboard-agent-listen-port", "--dashboard-agent-grpc-port", "--runtime-env-agent-port",
    "--metrics-export-port",
)  # fmt: skip
_START_SECONDS = 240
_PATIENT = {
    # A busy machine may need longer than Ray gives its own processes.
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "200",
    "RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT": "200",
    # Nor is a node dead that could not answer for a minute.
    "RAY_health_check_timeout_ms": "60000",
    "RAY_health_check_failure_threshold": "10",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "300",
    # What this cluster does not need.
    "RAY_enable_metrics_collection": "0",
    "RAY_event_stats": "0",
    "RAY_prestart_worker_first_driver": "0",
}


class RayCluster:
    """A head and a second node; `stop` leaves no process and no file of them."""

    def __init__(self, head, second, **settings):
        """Start both, each with the arguments of `ray start` that tell what it offers.

        `settings` are environment variables of theirs.
        """
        # Sockets lie in it, whose paths may have 107 bytes at most: pytest's folder is too deep.
        self.folder = Path(tempfile.mkdtemp(prefix="rl-"))
        self._marker = uuid.uuid4().hex
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.environment = {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            **_PATIENT,
            **settings,
        }
        self.port, dashboard, client, *agents = free_ports(3 + 2 * len(_AGENTS))
        self.address = f"http://127.0.0.1:{dashboard}"
        self._nodes = []
        try:
            self._start(
                "head",
                "--head", "--port", str(self.port), "--dashboard-host", "127.0.0.1",
                "--dashboard-port", str(dashboard), "--ray-client-server-port", str(client),
                "--temp-dir", str(self.folder / "ray"), *self._ports(agents[: len(_AGENTS)]), *head,
            )  # fmt: skip
            self._wait_for_nodes(1)
            self._start(
                "second",
                "--address", f"127.0.0.1:{self.port}", *self._ports(agents[len(_AGENTS) :]),
                *second,
            )  # fmt: skip
            self._wait_for_nodes(2)
        except BaseException:
            self.stop()
            raise

    def processes(self):
        """Ids of all processes of the cluster, those of its jobs included."""
        return [pid for pid, _ in members(self._marker, set())]

    def second_node(self):
        """The raylet of the second node, and ids of all processes that it started."""
        (raylet,) = [
            process
            for process in psutil.Process(self._nodes[1].pid).children(recursive=True)
            if process.name() == "raylet"
        ]
        return raylet, [process.pid for process in raylet.children(recursive=True)]

    def stop(self):
        """End every process of the cluster, and wait until it is gone."""
        deadline = time.monotonic() + 30
        while left := self.processes():
            for pid in left:
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    continue
            assert time.monotonic() < deadline, f"{left} survive SIGKILL"
            time.sleep(0.1)
        for node in self._nodes:
            node.wait(timeout=30)
        shutil.rmtree(self.folder)

    def _ports(self, ports):
        return [word for pair in zip(_AGENTS, map(str, ports), strict=True) for word in pair]

    def _start(self, name, *arguments):
        with (self.folder / f"{name}.log").open("w") as log:
            self._nodes.append(
                subprocess.Popen(
                    [
                        BIN / "ray", "start", "--block", "--disable-usage-stats",
                        "--node-ip-address", "127.0.0.1", "--min-worker-port", "0",
                        "--max-worker-port", "0", *arguments,
                    ],
                    env={**self.environment, MARKER: self._marker},
                    cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
                )
            )  # fmt: skip

    def _wait_for_nodes(self, count):
        deadline = time.monotonic() + _START_SECONDS
        while self._count_nodes() < count:
            assert all(node.poll() is None for node in self._nodes), self._told()
            late = time.monotonic() > deadline
            assert not late, f"no {count} nodes in {_START_SECONDS} s:\n{self._told()}"
            time.sleep(0.5)

    def _told(self):
        """The ends of all logs, of which one should say why a node is not there."""
        own = sorted(self.folder.glob("*.log"))
        rays = sorted(self.folder.glob("ray/session_latest/logs/*.*"))
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in (*own, *rays)
        )

    def _count_nodes(self):
        """Live nodes by the dashboard's own account; 0 while it does not answer."""
        token = Path(self.environment["RAY_AUTH_TOKEN_PATH"]).read_text()
        request = urllib.request.Request(
            f"{self.address}/api/v0/nodes?filter_keys=state&filter_predicates=%3D"
            "&filter_values=ALIVE",
            headers={"Authorization": f"Bearer {token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return len(json.load(response)["data"]["result"]["result"])
        except (OSError, KeyError, TypeError):
            return 0

"""A real Prometheus scrapes a real run: every panel and alert has data, and a stall is noticed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from redline_driving import SMALL, Driver, kill_drivers, make_model

from redline.actors.free_ports import free_ports
from redline.cluster.main import run as redline
from redline.cluster.monitoring.alerts import Timing, alerts
from redline.cluster.monitoring.grafana import dashboard
from redline.cluster.monitoring.queries import promql
from redline.cluster.status_file import RunState, read_status

PROMETHEUS = shutil.which("prometheus")
pytestmark = [
    pytest.mark.ray,
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(PROMETHEUS is None, reason="needs prometheus (a Debian package)"),
]
_WINDOW = "1m"
_STALL_SECONDS = 10
_PATIENCE = 400.0


class Prometheus:
    """A Prometheus server that scrapes one address each second."""

    def __init__(self, folder: Path, target: str) -> None:
        monitoring = folder / "monitoring"
        options = ("--stall-seconds", _STALL_SECONDS, "--for", "0s", "--window", _WINDOW)
        targets = folder / "targets.json"
        targets.write_text(json.dumps([{"targets": [target]}]))
        arguments = [monitoring, *options, "--discovery", targets]
        assert redline(["monitoring", *map(str, arguments)]) == 0
        config = monitoring / "prometheus" / "prometheus.yml"
        config.write_text(config.read_text().replace("5s", "1s"))
        (port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self.log = folder / "prometheus.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    str(PROMETHEUS),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address={self.address}",
                ],
                stdout=log,
                stderr=log,
            )

    def ask(self, path: str, **parameters: str) -> dict:
        """What its HTTP API answers; nothing while it starts."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except (ConnectionError, urllib.error.URLError):
            assert self.process.poll() is None, self.log.read_text()
            return {}

    def has(self, query: str) -> bool:
        """Whether a query returns data now."""
        return bool(self.ask("query", query=query).get("result"))

    def firing(self, alert: str) -> bool:
        """Whether an alert fires now."""
        found = self.ask("alerts").get("alerts", [])
        return any(a["labels"]["alertname"] == alert and a["state"] == "firing" for a in found)


def wait_until(what, condition, driver):
    """Poll a condition; the run must stay alive meanwhile."""
    deadline = time.monotonic() + _PATIENCE
    while not (outcome := condition()):
        assert driver.process.poll() is None, driver.complaint()
        assert time.monotonic() < deadline, f"{what} after {_PATIENCE} s:\n{driver.complaint()}"
        time.sleep(0.5)
    return outcome


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A run that goes on until it is killed, and the Prometheus that watches it."""
    folder = tmp_path_factory.mktemp("watched")
    make_model(folder / "model")
    (port,) = free_ports(1)
    driver = Driver(
        "train", "--config", "demo", "name=watched", "model=./model", *SMALL, "steps=100000",
        "rollout.engine.stats=true", "rollout.engine.enforce_eager=true", f"metrics.port={port}",
        cwd=folder,
    )  # fmt: skip
    prometheus = Prometheus(folder, f"127.0.0.1:{port}")
    try:
        wait_until("no step", lambda: any("3/100000" in line for line in driver.err), driver)
        yield folder, driver, prometheus
    finally:
        prometheus.process.kill()
        prometheus.process.wait()
        kill_drivers()


def queries():
    """Every query of dashboard and alerts, as Grafana and Prometheus send them."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            expr = target["expr"].replace("$__rate_interval", _WINDOW).replace("$run", ".*")
            yield f"{panel['title']}: {target['legendFormat']}", expr
    for alert in alerts(Timing(window=_WINDOW)):
        yield alert.name, promql(alert.value)


def test_every_query_of_dashboard_and_alerts_returns_data(watched):
    _, driver, prometheus = watched
    missing = dict(queries())

    def all_there():
        for name, query in list(missing.items()):
            if prometheus.has(query):
                del missing[name]
        return not missing

    try:
        wait_until("queries without data", all_there, driver)
    except AssertionError as error:
        raise AssertionError(f"no data for {missing}") from error


def test_the_status_file_and_top_tell_the_same_run(watched):
    folder, driver, _ = watched
    status = read_status(folder / "runs" / "watched")
    assert status.state is RunState.TRAINING
    assert status.pid == driver.process.pid
    assert {worker.name for worker in status.workers} == {
        "learner", "sampler-0", "sandbox-0", "replay",
    }  # fmt: skip
    assert all(worker.node for worker in status.workers if worker.name != "learner")
    assert status.value("redline_engine_generated_tokens") > 0
    top = Driver("top", "watched", "--json", cwd=folder)
    assert top.finish() == 0, top.complaint()
    assert top.result()["step"] >= status.step


def test_a_stalled_run_fires_its_alert_until_it_goes_on(watched):
    _, driver, prometheus = watched
    (learner,) = [
        process
        for process in psutil.Process(driver.process.pid).children(recursive=True)
        if "ray::Learner" in " ".join(process.cmdline())
    ]
    os.kill(learner.pid, signal.SIGSTOP)
    try:
        wait_until("no alert", lambda: prometheus.firing("RedlineStall"), driver)
    finally:
        os.kill(learner.pid, signal.SIGCONT)
    wait_until("still firing", lambda: not prometheus.firing("RedlineStall"), driver)

"""Dashboard, provisioning and rules as files: the folder `files/` of the package, or one's own."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redline.cluster.errors import UserError
from redline.cluster.monitoring.alerts import RUNBOOK, Timing, alert_rules, prometheus_config
from redline.cluster.monitoring.grafana import dashboard, dashboard_provider, datasource

PACKAGED = Path(__file__).parent / "files"
_NOTE = "# Written by `redline monitoring`; change its options rather than this file.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where the parts find each other."""

    prometheus: str = "http://localhost:9090"
    """Address of Prometheus for Grafana."""
    discovery: str = "/tmp/ray/prom_metrics_service_discovery.json"
    """File in which Ray's head node lists the addresses of all nodes."""
    runbook: str = RUNBOOK
    """Where alerts send whoever is called."""
    dashboards: str = "/etc/grafana/redline"
    """Folder in which Grafana finds the dashboard."""
    timing: Timing = field(default_factory=Timing)


def monitoring_files(around: Surroundings) -> dict[str, str]:
    """Every file's text by its place."""
    rules = alert_rules(around.timing, runbook=around.runbook)
    scraping = prometheus_config(discovery=around.discovery, rules="redline.rules.yml")
    provisioning = "grafana/provisioning"
    return {
        "prometheus/prometheus.yml": _yaml(scraping),
        "prometheus/redline.rules.yml": _yaml(rules),
        "grafana/dashboards/redline.json": json.dumps(dashboard(), indent=1) + "\n",
        f"{provisioning}/dashboards/redline.yml": _yaml(dashboard_provider(around.dashboards)),
        f"{provisioning}/datasources/redline.yml": _yaml(datasource(around.prometheus)),
    }


def write_monitoring(folder: Path, around: Surroundings) -> list[Path]:
    """Write the files below a folder; UserError when it cannot be written."""
    written = []
    for name, text in monitoring_files(around).items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error
        written.append(path)
    return written


def _yaml(record: dict[str, Any]) -> str:
    import yaml

    return _NOTE + yaml.safe_dump(record, sort_keys=False, width=100)

"""The Grafana dashboard and the files that provision it, from `panels*.py`."""

from typing import Any

from redline.cluster.monitoring.panels import Panel
from redline.cluster.monitoring.panels_of_training import TRAINING_ROWS
from redline.cluster.monitoring.panels_of_workers import WORKER_ROWS
from redline.cluster.monitoring.queries import metrics_in, promql

_COLUMNS = 24
_STAT = (4, 4)
_PICTURE = (8, 8)
"""Width and height on Grafana's grid of 24 columns."""
_RUN = 'run=~"$run"'
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
DASHBOARD_UID = "redline"
ROWS = (*TRAINING_ROWS, *WORKER_ROWS)


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports and provisions it (schema of Grafana 10 and later)."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in ROWS:
        heading = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
        panels.append(heading | {"gridPos": {"x": 0, "y": top, "w": _COLUMNS, "h": 1}})
        top += 1
        left = height = 0
        for panel in row.panels:
            width, height = _STAT if panel.stat else _PICTURE
            if left + width > _COLUMNS:
                left, top = 0, top + height
            panels.append(_panel(panel, {"x": left, "y": top, "w": width, "h": height}))
            left += width
        top += height
    for number, each in enumerate(panels, start=1):
        each["id"] = number
    return {
        "uid": DASHBOARD_UID,
        "title": "redline",
        "tags": ["redline", "reinforcement learning"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "annotations": {"list": []},
        "templating": {"list": [_source_variable(), _run_variable()]},
        "panels": panels,
    }


def dashboard_provider(folder: str) -> dict[str, Any]:
    """Tells Grafana to load the dashboards of a folder."""
    provider = {
        "name": "redline",
        "type": "file",
        "allowUiUpdates": True,
        "options": {"path": folder},
    }
    return {"apiVersion": 1, "providers": [provider]}


def datasource(url: str) -> dict[str, Any]:
    """Tells Grafana where Prometheus is."""
    source = {
        "name": "Prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": url,
        "isDefault": True,
        "jsonData": {"timeInterval": "5s"},
    }
    return {"apiVersion": 1, "datasources": [source]}


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": _SOURCE,
            "expr": promql(query, _RUN),
            "legendFormat": legend or panel.title,
        }
        for number, (query, legend) in enumerate(panel.queries)
    ]
    return {
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "description": _description(panel),
        "datasource": _SOURCE,
        "gridPos": place,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {} if panel.stat else {"tooltip": {"mode": "multi", "sort": "desc"}},
    }


def _description(panel: Panel) -> str:
    """What its metrics mean and what to do when they are bad, each metric once."""
    metrics = {m.name: m for query, _ in panel.queries for m in metrics_in(query)}
    return "\n\n".join(f"{m.meaning} {m.remedy}" for m in metrics.values())


def _source_variable() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"}


def _run_variable() -> dict[str, Any]:
    query = f"label_values({promql('@training')}, run)"
    return {
        "name": "run",
        "type": "query",
        "label": "Run",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": "run"},
        "definition": query,
        "refresh": 2,
        "sort": 2,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }

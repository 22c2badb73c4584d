"""`redline monitoring`: dashboard, provisioning and alert rules for Grafana and Prometheus."""

import re
from pathlib import Path
from typing import Annotated

import typer

from redline.cluster.errors import UserError
from redline.cluster.output import emit_json, say

_DURATION = re.compile(r"(\d+(ms|[smhdwy]))+")


def monitoring(
    output: Annotated[Path, typer.Argument(help="Folder to write to.", metavar="FOLDER")],
    stall_seconds: Annotated[
        int, typer.Option(help="Seconds without a step until a run counts as stalled.")
    ] = 600,
    hold: Annotated[
        str, typer.Option("--for", help="How long a condition lasts before its alert fires.")
    ] = "2m",
    window: Annotated[str, typer.Option(help="Over which rates and means are taken.")] = "10m",
    runbook: Annotated[
        str, typer.Option(help="URL of the runbook that alerts link to.")
    ] = "docs/runbook.md",
    prometheus: Annotated[
        str, typer.Option(help="Prometheus as Grafana reaches it.")
    ] = "http://localhost:9090",
    discovery: Annotated[
        str, typer.Option(help="Ray's file of addresses to scrape.")
    ] = "/tmp/ray/prom_metrics_service_discovery.json",
    dashboards: Annotated[
        str, typer.Option(help="Folder in which Grafana will find the dashboard.")
    ] = "/etc/grafana/redline",
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Write Grafana's dashboard and provisioning, and Prometheus' scraping and alert rules."""
    from redline.cluster.monitoring.alerts import Timing
    from redline.cluster.monitoring.export import Surroundings, write_monitoring

    for option, value in (("--for", hold), ("--window", window)):
        if _DURATION.fullmatch(value) is None:
            raise UserError(f"{option} {value!r} is no duration: expected such as 30s, 5m or 1h")
    if stall_seconds < 1:
        raise UserError(f"--stall-seconds {stall_seconds}: expected at least 1")
    around = Surroundings(
        prometheus=prometheus,
        discovery=discovery,
        runbook=runbook,
        dashboards=dashboards,
        timing=Timing(stall_seconds=stall_seconds, hold=hold, window=window),
    )
    written = write_monitoring(output, around)
    if json:
        emit_json({"files": [str(path) for path in written]})
        return
    for path in written:
        print(path)
    say("docs/metrics.md says how to use them")

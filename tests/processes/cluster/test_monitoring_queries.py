"""What a run tells, asked by every query of the dashboard and of the alerts.

The board is filled as a run fills it, its numbers become Prometheus series, and promtool answers
the queries.
"""

import shutil
import subprocess
from dataclasses import replace

import cluster_fakes as fakes
import pytest
import yaml
from stats_fakes import make_engine, make_pool, make_sampler, make_store

from redline.cluster.load import load_config
from redline.cluster.metrics import curves_of
from redline.cluster.monitoring.alerts import Timing, alerts
from redline.cluster.monitoring.definitions import Kind, Role, all_metrics
from redline.cluster.monitoring.grafana import dashboard
from redline.cluster.monitoring.monitor import Monitor
from redline.cluster.monitoring.numbers import Numbers
from redline.cluster.monitoring.queries import promql
from redline.cluster.run_directory import RunDirectory
from redline.cluster.status_file import RunState, WorkerState, WorkerStatus

PROMTOOL = shutil.which("promtool")
_WINDOW = "1m"


@pytest.fixture
def samples(tmp_path):
    """Every number of a run that trains."""
    config = load_config("demo", [f"run_root={tmp_path}", "name=mine"])
    with RunDirectory.create(config) as directory, Monitor(config, directory) as monitor:
        numbers = Numbers(monitor.board)
        for name, stats in (
            ("sampler-0", make_sampler(engine=make_engine())),
            ("sandbox-0", make_pool()),
            ("replay", make_store()),
        ):
            numbers.take(name, stats)
        monitor.enter(RunState.TRAINING)
        report = fakes.make_report(1)
        report = replace(report, result=replace(report.result, mfu=0.4))  # as on a known GPU
        monitor.on_step(1, report, curves_of(report))
        monitor.on_checkpoint(0.5)
        monitor.on_memory(10**9)
        monitor.on_heldout({"heldout/greedy": 0.25, "heldout/sampled": 0.25})
        monitor._take_workers(
            [WorkerStatus(name="sampler-0", role=Role.SAMPLER, state=WorkerState.SERVING)]
        )
        return monitor.board.samples()


def test_a_run_tells_every_metric(samples):
    assert {sample.name for sample in samples} == set(all_metrics())


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian: prometheus)")
def test_every_query_of_dashboard_and_alerts_finds_data(samples, tmp_path):
    queries = {
        f"{panel['title']}: {target['legendFormat']}": target["expr"]
        for panel in dashboard()["panels"]
        for target in panel.get("targets", ())
    }
    queries |= {alert.name: promql(alert.value) for alert in alerts(Timing(window=_WINDOW))}
    asked = [
        query.replace("$__rate_interval", _WINDOW).replace("$run", ".*")
        for query in queries.values()
    ]
    tests = {
        "evaluation_interval": "5s",
        "tests": [
            {
                "interval": "5s",
                "input_series": [_series(sample) for sample in samples],
                "promql_expr_test": [
                    {
                        "expr": f"clamp_max(count({query}), 1)",
                        "eval_time": "5m",
                        "exp_samples": [{"labels": "{}", "value": 1}],
                    }
                    for query in asked
                ],
            }
        ],
    }
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump(tests))
    check = subprocess.run([PROMTOOL, "test", "rules", str(path)], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr


def _series(sample):
    metric = all_metrics()[sample.name]
    labels = ", ".join(
        f'{name}="{value}"' for name, value in {"run": "mine", **sample.labels}.items()
    )
    values = "0+1x60" if metric.kind is Kind.COUNTER else f"{sample.value}x60"
    return {"series": f"{metric.series}{{{labels}}}", "values": values}

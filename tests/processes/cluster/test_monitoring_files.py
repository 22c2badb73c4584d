"""Dashboard, provisioning and rules: the packaged ones are current, and tools accept them."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from redline.cluster.main import run
from redline.cluster.monitoring.alerts import Timing, alerts
from redline.cluster.monitoring.export import PACKAGED, Surroundings, monitoring_files
from redline.cluster.monitoring.grafana import dashboard
from redline.cluster.monitoring.queries import promql

PROMTOOL = shutil.which("promtool")


def test_the_packaged_files_are_what_the_descriptions_say():
    packaged = {
        str(path.relative_to(PACKAGED)): path.read_text()
        for path in PACKAGED.rglob("*")
        if path.is_file()
    }
    assert packaged == monitoring_files(Surroundings())


def test_the_short_form_is_written_out():
    assert promql("max(@step)") == "max(ray_redline_step)"
    assert promql('rate(@steps{a="b"}[1m])', 'run=~"x"') == (
        'rate(ray_redline_steps_total{run=~"x", a="b"}[1m])'
    )
    with pytest.raises(KeyError, match="redline_stepz"):
        promql("max(@stepz)")


def test_panels_do_not_overlap_and_say_what_they_show():
    taken = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"]
            assert all('run=~"$run"' in target["expr"] for target in panel["targets"])
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian: prometheus)")
def test_promtool_accepts_configuration_and_rules(tmp_path):
    assert run(["monitoring", str(tmp_path), "--stall-seconds", "5", "--for", "1s"]) == 0
    (tmp_path / "prometheus" / "empty.json").write_text("[]")
    for arguments in (("config", "prometheus.yml"), ("rules", "redline.rules.yml")):
        check = subprocess.run(
            [PROMTOOL, "check", *arguments],
            cwd=tmp_path / "prometheus",
            capture_output=True,
            text=True,
        )
        assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian: prometheus)")
def test_promtool_understands_every_query_of_the_dashboard(tmp_path):
    queries = [t["expr"] for panel in dashboard()["panels"] for t in panel.get("targets", ())]
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, query in enumerate(queries)
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    check = subprocess.run([PROMTOOL, "check", "rules", str(path)], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr
    assert f"{len(queries)} rules found" in check.stdout


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian: prometheus)")
@pytest.mark.parametrize(
    ("name", "series", "labels"),
    [
        (
            "RedlineStall",
            {"training": "1", "last_step_timestamp_seconds": "0"},
            {},
        ),
        ("RedlineStaleness", {"staleness_max": "3", "max_staleness": "2"}, {}),
        (
            "RedlineSandboxFailures",
            {
                "sandbox_infrastructure_errors_total": "0+1x60",
                "sandbox_executions_total": "0+10x60",
            },
            {},
        ),
        (
            "RedlineSandboxRetries",
            {"sandbox_retries_total": "0+1x60", "sandbox_executions_total": "0+10x60"},
            {},
        ),
        ("RedlineLogprobMismatch", {"mismatch_kl": "0.02"}, {}),
        ("RedlineProbeNearTolerance", {"probe_max_abs_dlogp": "9", "probe_tolerance": "10"}, {}),
        ("RedlineLearnerStarving", {"training": "1", "idle_ratio": "0.9"}, {"role": "learner"}),
        ("RedlineWorkerUnheard", {"workers": "1"}, {"role": "sampler", "state": "lost"}),
    ],
)
def test_each_alert_fires_when_it_should_and_not_before(tmp_path, name, series, labels):
    """By promtool's own unit tests of rules: silent in the first minutes, firing later."""
    assert run(["monitoring", str(tmp_path), "--for", "5m"]) == 0
    selected = "".join(f', {key}="{value}"' for key, value in labels.items())
    tests = {
        "rule_files": ["redline.rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {
                        "series": f'ray_redline_{metric}{{run="mine"{selected}}}',
                        "values": values if "x" in values else f"{values}x60",
                    }
                    for metric, values in series.items()
                ],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{name}", alertstate="{state}"}})',
                        "eval_time": at,
                        "exp_samples": [{"labels": "{}", "value": 1}],
                    }
                    for at, state in ((_pending_at(name), "pending"), ("40m", "firing"))
                ],
            }
        ],
    }
    (tmp_path / "prometheus" / "tests.yml").write_text(yaml.safe_dump(tests))
    check = subprocess.run(
        [PROMTOOL, "test", "rules", "tests.yml"],
        cwd=tmp_path / "prometheus",
        capture_output=True,
        text=True,
    )
    assert check.returncode == 0, check.stdout + check.stderr


def _pending_at(name):
    return "12m" if name == "RedlineStall" else "3m"


def test_every_alert_is_tried_above():
    (mark,) = [
        mark
        for mark in test_each_alert_fires_when_it_should_and_not_before.pytestmark
        if mark.name == "parametrize"
    ]
    assert {case[0] for case in mark.args[1]} == {alert.name for alert in alerts(Timing())}


def test_the_command_writes_what_was_asked_for(tmp_path, capsys):
    assert run(["monitoring", str(tmp_path), "--json", "--runbook", "https://x.y/book",
                "--stall-seconds", "77", "--window", "3m"]) == 0  # fmt: skip
    files = json.loads(capsys.readouterr().out)["files"]
    assert len(files) == 5
    rules = yaml.safe_load((tmp_path / "prometheus" / "redline.rules.yml").read_text())
    stall = rules["groups"][0]["rules"][0]
    assert "> 77 and" in stall["expr"]
    assert stall["annotations"]["runbook_url"] == "https://x.y/book#stall"
    assert re.search(r"\[3m\]", json.dumps(rules))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--for", "soon"], "--for 'soon' is no duration"),
        (["--window", "5"], "--window '5' is no duration"),
        (["--stall-seconds", "0"], "expected at least 1"),
    ],
)
def test_wrong_options_are_refused_in_one_line(tmp_path, capsys, arguments, complaint):
    assert run(["monitoring", str(tmp_path), *arguments]) == 2
    told = capsys.readouterr().err
    assert complaint in told and told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(["monitoring", str(tmp_path / "file" / "below")]) == 2
    told = capsys.readouterr().err
    assert "cannot write" in told and told.count("\n") == 1

"""One table of metrics: what is documented, drawn and alerted on is what there is."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from cluster_fakes import make_report

from redline.cluster.config import RunConfig
from redline.cluster.metrics import curves_of
from redline.cluster.monitoring.alerts import Timing, alerts
from redline.cluster.monitoring.definitions import Kind, all_metrics
from redline.cluster.monitoring.grafana import ROWS
from redline.cluster.monitoring.queries import metrics_in
from redline.cluster.monitoring.reference import reference

ROOT = Path(__file__).parents[3]
METRICS = all_metrics().values()


def settings_of(schema=RunConfig(name="any"), prefix=""):  # noqa: B008 - never changed
    for item in fields(schema):
        value = getattr(schema, item.name)
        yield f"{prefix}{item.name}"
        if is_dataclass(value):
            yield from settings_of(value, f"{prefix}{item.name}.")


def test_names_are_unique_and_as_prometheus_wants_them():
    from redline.cluster.monitoring.tables import engine, fleet, learning, run, sampling, sandboxes

    tables = (run, learning, sampling, engine, sandboxes, fleet)
    names = [metric.name for table in tables for metric in table.METRICS]
    assert len(names) == len(set(names))
    for metric in METRICS:
        assert re.fullmatch(r"redline_[a-z_]+[a-z]", metric.name)
        assert not metric.name.endswith("_total")
        assert metric.series.startswith("ray_redline_")
        assert metric.meaning.endswith(".") and metric.remedy.endswith("."), metric.name


def test_every_curve_of_a_step_has_its_metric():
    known = {curve for metric in METRICS for curve in metric.curves}
    said_otherwise = {"staleness/dropped"}  # the same as dropped/stale
    assert set(curves_of(make_report())) - known == said_otherwise
    elsewhere = {"heldout/greedy", "heldout/sampled", "perf/mfu"}  # mfu: on known GPUs only
    assert known - set(curves_of(make_report())) == elsewhere


def test_the_labels_of_curves_are_those_of_their_metric():
    for metric in METRICS:
        expected = {*metric.labels, *(() if metric.role else ("role",))}
        assert all(set(labels) == expected for labels in metric.curves.values()), metric.name


def test_texts_name_only_settings_and_metrics_that_exist():
    known = set(settings_of())
    for metric in METRICS:
        for word in re.findall(r"`([^`]+)`", f"{metric.meaning} {metric.remedy}"):
            if word.startswith("redline_"):
                assert word in all_metrics(), f"{metric.name} names {word}"
            elif re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", word):
                assert word in known, f"{metric.name} names {word}"


def test_the_page_of_metrics_is_what_the_definitions_say():
    assert (ROOT / "docs" / "metrics.md").read_text() == reference()


def test_every_metric_is_drawn():
    drawn = {
        metric.name
        for row in ROWS
        for panel in row.panels
        for query, _ in panel.queries
        for metric in metrics_in(query)
    }
    assert set(all_metrics()) - drawn == {"redline_training"}  # it is in the alerts


def test_counters_are_asked_for_their_growth():
    queries = [query for row in ROWS for panel in row.panels for query, _ in panel.queries]
    queries += [alert.value for alert in alerts(Timing())]
    for query in queries:
        kinds = {metric.kind for metric in metrics_in(query)}
        if re.search(r"\brate\(", query):
            assert kinds == {Kind.COUNTER}, query
        elif query != "sum by (role) (@worker_restarts)":
            assert kinds == {Kind.GAUGE}, query


@pytest.mark.parametrize("alert", alerts(Timing()), ids=lambda alert: alert.name)
def test_every_alert_leads_to_a_section_of_the_runbook(alert):
    text = (ROOT / "docs" / "runbook.md").read_text()
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    }
    assert alert.section in anchors

"""The probe: which tiers this machine gives, and what a program inside meets."""

import json
from dataclasses import asdict

from redline.sandbox.probe import probe
from redline.sandbox.tiers import TIERS


def test_the_probe_tells_each_tier_and_each_layer():
    report = probe()
    tiers = {tier.name: tier for tier in report.tiers}
    layers = {layer.name: layer for layer in report.layers}
    assert list(tiers) == list(TIERS)
    assert report.tier == next(tier.name for tier in report.tiers if tier.achieved)
    for name in ("contained child", "seccomp", "no files", "no network", "CPU limit"):
        assert layers[name].achieved, layers[name]
    assert all(each.reason for each in report.tiers + report.layers if not each.achieved)
    lines = report.as_text().splitlines()
    assert lines[0].endswith(f"isolation {report.tier}")
    assert "  yes contained child" in lines
    assert json.loads(json.dumps(asdict(report)))["tier"] == report.tier


def test_the_probe_reports_a_sandbox_that_does_not_start(monkeypatch):
    monkeypatch.setattr("redline.sandbox.server.sys.executable", "/nonexistent/python")
    report = probe()
    assert report.tier == "none"
    assert not any(tier.achieved for tier in report.tiers)
    assert "/nonexistent/python" in report.tiers[0].reason

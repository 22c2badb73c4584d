"""The board through Ray's metrics: names, labels, growth of counters, gauges told each time."""

import pytest

from redline.cluster.monitoring import ray_export
from redline.cluster.monitoring.board import Board
from redline.cluster.monitoring.definitions import Kind, all_metrics
from redline.cluster.monitoring.ray_export import RayExporter


class FakeMetric:
    """Refuses what Ray's refuses: other tags than the declared, tags and values of other types."""

    made: dict

    def __init__(self, name, description, tag_keys):
        assert name not in self.made, f"{name} was made twice"
        self.tag_keys, self.values, self.calls = set(tag_keys), {}, 0
        self.made[name] = self

    def key(self, tags):
        assert set(tags) == self.tag_keys
        assert all(isinstance(value, str) for value in tags.values())
        self.calls += 1
        return frozenset(tags.items())


class FakeGauge(FakeMetric):
    def set(self, value, tags):
        self.values[self.key(tags)] = value


class FakeCounter(FakeMetric):
    def inc(self, value, tags):
        assert value > 0
        self._record(value, tags)

    def _record(self, value, tags):
        key = self.key(tags)
        self.values[key] = self.values.get(key, 0.0) + value


@pytest.fixture
def made(monkeypatch):
    """The metrics that Ray was asked to make."""
    made = {}
    monkeypatch.setattr(FakeMetric, "made", made, raising=False)
    monkeypatch.setattr(ray_export, "Gauge", FakeGauge)
    monkeypatch.setattr(ray_export, "Counter", FakeCounter)
    return made


def value(metric, **tags):
    (found,) = [v for key, v in metric.values.items() if dict(key).items() >= tags.items()]
    return found


def test_counters_grow_by_what_is_new_and_begin_with_zero(made):
    board = Board()
    exporter = RayExporter(board, "mine")
    board.add("redline_sandbox_kills", 0, worker="sandbox-0", reason="cpu")
    exporter.publish()
    kills = made["redline_sandbox_kills"]
    assert value(kills, run="mine", role="sandbox", reason="cpu") == 0
    for amount in (3, 0, 4):
        board.add("redline_sandbox_kills", amount, worker="sandbox-0", reason="cpu")
        exporter.publish()
    assert value(kills) == 7
    assert kills.calls == 3  # a count that stands is not told again


def test_gauges_are_told_each_time_because_ray_forgets_them(made):
    board = Board()
    exporter = RayExporter(board, "mine")
    board.set("redline_idle_ratio", 0.25, role="learner")
    exporter.publish()
    exporter.publish()
    idle = made["redline_idle_ratio"]
    assert value(idle, run="mine", role="learner") == 0.25
    assert idle.calls == 2
    assert idle.tag_keys == {"run", "role"}


def test_every_metric_can_be_told(made):
    board = Board()
    for metric in all_metrics().values():
        labels = dict.fromkeys(metric.labels, "x") | ({} if metric.role else {"role": "sampler"})
        tell = board.add if metric.kind is Kind.COUNTER else board.set
        tell(metric.name, 1, **labels)
    RayExporter(board, "mine").publish()
    assert set(made) == set(all_metrics())
    assert all(list(metric.values.values()) == [1] for metric in made.values())

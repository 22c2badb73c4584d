"""Curves to other trackers: asked for by a setting, refused in one line, never the end of a run."""

import math
import sys
from types import ModuleType, SimpleNamespace

import cluster_fakes as fakes
import pytest

from redline.cluster.errors import UserError
from redline.cluster.load import load_config
from redline.cluster.metrics import Metrics
from redline.cluster.monitoring.checks import check_metrics
from redline.cluster.monitoring.sinks import open_sinks


def config_with(*sinks):
    return load_config("demo", ["name=mine", f"metrics.sinks=[{','.join(sinks)}]"])


class FakeWandb(ModuleType):
    """Keeps what it is told."""

    def __init__(self):
        super().__init__("wandb")
        self.inits, self.points, self.finished = [], [], 0
        self.broken = False

    def init(self, **options):
        self.inits.append(options)
        return SimpleNamespace(id="run-7", log=self._log, finish=self._finish)

    def _log(self, curves, *, step):
        if self.broken:
            raise ConnectionError("no route\nto host")
        self.points.append((step, curves))

    def _finish(self):
        self.finished += 1


class FakeMlflow(ModuleType):
    """Keeps what it is told; parameters can be logged once, as on a server."""

    def __init__(self):
        super().__init__("mlflow")
        self.experiment, self.starts, self.params, self.points, self.ended = "", [], {}, [], 0

    def set_experiment(self, name):
        self.experiment = name

    def start_run(self, *, run_id, run_name):
        self.starts.append((run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "abc"))

    def log_params(self, params):
        assert not self.params
        self.params = params

    def log_metrics(self, curves, *, step):
        self.points.append((step, curves))

    def end_run(self):
        self.ended += 1


@pytest.fixture
def wandb(monkeypatch):
    module = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


@pytest.fixture
def mlflow(monkeypatch):
    module = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return module


def no_complaint(message):
    raise AssertionError(message)


def write_steps(config, folder, *steps):
    sinks = open_sinks(config, folder, no_complaint)
    metrics = Metrics(folder, first_step=steps[0] - 1, sinks=sinks)
    for step in steps:
        metrics.write(step, fakes.make_report(step))
    metrics.close()


def test_tensorboard_needs_no_asking(tmp_path):
    write_steps(config_with(), tmp_path, 1)
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1


def test_wandb_gets_curves_and_configuration_and_a_resumed_run_goes_on(tmp_path, wandb):
    config = config_with("wandb")
    write_steps(config, tmp_path, 1, 2)
    write_steps(config, tmp_path, 3)
    first, second = wandb.inits
    assert (first["project"], first["name"], first["id"]) == ("redline", "mine", None)
    assert first["config"]["rollout"]["group_size"] == 8
    assert (second["id"], second["resume"]) == ("run-7", "allow")
    assert [step for step, _ in wandb.points] == [1, 2, 3]
    assert wandb.points[0][1]["rollout/solve_rate"] == 0.5
    assert wandb.finished == 2


def test_mlflow_gets_curves_and_parameters_and_a_resumed_run_goes_on(tmp_path, mlflow):
    config = config_with("mlflow")
    write_steps(config, tmp_path, 1, 2)
    write_steps(config, tmp_path, 3)
    assert mlflow.experiment == "redline"
    assert mlflow.starts == [(None, "mine"), ("abc", "mine")]
    assert mlflow.params["rollout.group_size"] == "8"
    assert all(len(value) <= 500 for value in mlflow.params.values())
    assert [step for step, _ in mlflow.points] == [1, 2, 3]
    assert mlflow.ended == 2


def test_a_tracker_gets_finite_numbers_only(tmp_path, wandb):
    _, sink = open_sinks(config_with("wandb"), tmp_path, no_complaint)
    sink.write(1, {"a": 1.0, "b": math.nan, "c": math.inf})
    assert wandb.points == [(1, {"a": 1.0})]


def test_a_tracker_that_fails_is_told_of_once_and_left_out(tmp_path, wandb):
    said = []
    _, sink = open_sinks(config_with("wandb"), tmp_path, said.append)
    wandb.broken = True
    for step in range(3):
        sink.write(step, {"a": 1.0})
    sink.close()
    assert said == ["metrics go on without wandb, which failed: no route to host"]


def test_a_tracker_that_refuses_the_run_is_wrong_input(tmp_path, wandb, monkeypatch):
    def refuse(**_):
        raise RuntimeError("api_key not configured")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(UserError, match="wandb cannot begin: api_key not configured"):
        open_sinks(config_with("wandb"), tmp_path, no_complaint)


def test_a_missing_package_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install mlflow") as caught:
        check_metrics(config_with("mlflow"))
    assert "\n" not in str(caught.value)
    check_metrics(config_with())


def test_an_unknown_tracker_is_refused():
    with pytest.raises(UserError, match=r"'comet': expected some of wandb, mlflow"):
        config_with("comet")


def test_ports_that_cannot_be_used_are_refused():
    import socket

    with pytest.raises(UserError, match="1024 to 65535"):
        load_config("demo", ["metrics.port=80"])
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"metrics.port={port} cannot be used"):
            check_metrics(load_config("demo", [f"metrics.port={port}"]))
    with pytest.raises(UserError, match="metrics-export-port"):
        check_metrics(load_config("demo", ["metrics.port=8080", "ray.address=1.2.3.4:6379"]))

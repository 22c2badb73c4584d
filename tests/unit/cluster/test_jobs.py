"""Runs as jobs: what travels, what is refused before it starts, and what the commands say."""

import base64
import csv
import hashlib
import json
import sys
import zipfile
from pathlib import Path

import pytest
from job_fakes import FakeServer, make_job

from redline.cluster.errors import UserError
from redline.cluster.jobs import wheel as wheels
from redline.cluster.jobs.address import dashboard_address
from redline.cluster.jobs.checks import find_job, next_id, refuse_twice
from redline.cluster.jobs.records import JobState
from redline.cluster.jobs.run_progress import read_progress
from redline.cluster.jobs.submitting import SubmitOptions, prepare, submit_run
from redline.cluster.jobs.watching import cause
from redline.cluster.jobs.working_folder import write_working_folder
from redline.cluster.load import load_config
from redline.cluster.main import run
from redline.dsl.task_files import write_tasks
from redline.dsl.tasks import RepairTask


@pytest.fixture(autouse=True)
def _no_wheel(monkeypatch):
    """Only the tests of the wheel pack the whole package."""
    monkeypatch.setattr(wheels, "_package_files", lambda: iter([("redline/dsl/x.py", b"x = 1\n")]))


@pytest.fixture
def redline(capfd, tmp_path, monkeypatch):
    """Run a command against a fake server; returns status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(server, *arguments):
        monkeypatch.setattr("redline.cluster.jobs.connecting.connect", lambda address: server)
        status = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return status, out, err

    return call


def config_of(*overrides):
    return load_config("demo", ["name=mine", "run_root=/shared/runs", *overrides])


def task_file(path):
    task = RepairTask(
        task_id="t", prompt="p", setup="", broken="x = 1", reference="x = 2", entry_point=None,
        tests=("assert x == 2",), split="train", source="test",
    )  # fmt: skip
    write_tasks(path, [task])
    return path


@pytest.mark.parametrize(
    ("given", "variables", "address"),
    [
        (None, {}, "http://127.0.0.1:8265"),
        ("head:8265", {}, "http://head:8265"),
        ("https://ray.example/cluster/", {}, "https://ray.example/cluster"),
        (None, {"RAY_ADDRESS": "http://head:1"}, "http://head:1"),
        (None, {"RAY_ADDRESS": "10.0.0.1:6379"}, "http://127.0.0.1:8265"),
        ("http://a:1", {"RAY_API_SERVER_ADDRESS": "http://b:1"}, "http://a:1"),
    ],
)
def test_the_address_given_counts_before_the_environments(given, variables, address, monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert dashboard_address(given) == address


@pytest.mark.parametrize("given", ["ray://head:10001", "http://", "file:///tmp"])
def test_what_is_no_web_address_is_refused(given):
    with pytest.raises(UserError, match="is no web address"):
        dashboard_address(given)


def test_the_wheel_holds_the_package_and_asks_for_nothing(tmp_path, monkeypatch):
    monkeypatch.undo()
    path = wheels.pack_wheel(tmp_path)
    archive = zipfile.ZipFile(path)
    names = set(archive.namelist())
    assert {"redline/cluster/main.py", "redline/dsl/grammar.ebnf"} <= names
    assert "redline/cluster/demo_policy/model.safetensors" in names
    assert not any("__pycache__" in name for name in names)
    about = path.name.split("-")[1]
    assert "Requires-Dist" not in archive.read(f"redline_rl-{about}.dist-info/METADATA").decode()
    record = archive.read(f"redline_rl-{about}.dist-info/RECORD").decode().splitlines()
    rows = list(csv.reader(record))
    assert {name for name, _, _ in rows} == names
    for name, hashed, size in rows[:-1]:
        content = archive.read(name)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert (hashed, int(size)) == (f"sha256={digest}", len(content))


def test_another_content_is_another_wheel_and_the_same_the_same(tmp_path, monkeypatch):
    first = wheels.pack_wheel(tmp_path)
    made = first.read_bytes()
    assert wheels.pack_wheel(tmp_path) == first and first.read_bytes() == made
    monkeypatch.setattr(wheels, "_package_files", lambda: iter([("redline/dsl/x.py", b"x = 2\n")]))
    assert wheels.pack_wheel(tmp_path) != first


def test_relative_files_travel_and_absolute_ones_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task_file(Path("t.jsonl"))
    task_file(Path("h.jsonl"))
    there = (tmp_path / "h.jsonl").resolve()
    config = config_of("tasks.train_file=t.jsonl", f"tasks.heldout_file={there}", "model=org/hub")
    folder = tmp_path / "job"
    folder.mkdir()
    assert write_working_folder(config, folder) == {"tasks.train_file"}
    shipped = load_config(str(folder / "config.yaml"))
    assert shipped.tasks.train_file == "files/train_file/t.jsonl"
    assert (folder / "files/train_file/t.jsonl").read_text() == Path("t.jsonl").read_text()
    assert shipped.tasks.heldout_file == str(there)
    assert (shipped.model, shipped.ray.address) == ("org/hub", "auto")
    assert config.tasks.train_file == "t.jsonl"


def test_plugins_of_this_folder_travel_and_installed_ones_do_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_plugin_of_jobs.py").write_text("LOADED = True\n")
    folder = tmp_path / "job"
    folder.mkdir()
    write_working_folder(config_of("plugins=[my_plugin_of_jobs, json]"), folder)
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "my_plugin_of_jobs.py"}


def test_a_model_folder_travels_unless_it_is_too_large(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "m"
    model.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (model / name).write_text("{}")
    (tmp_path / "a").mkdir()
    assert write_working_folder(config_of("model=./m"), tmp_path / "a") == {"model"}
    assert load_config(str(tmp_path / "a/config.yaml")).model == "./files/model/m"
    assert (tmp_path / "a/files/model/m/config.json").is_file()
    with (model / "model.safetensors").open("wb") as file:
        file.truncate(300 * 2**20)
    with pytest.raises(UserError, match=r"model=.*300 MiB are too much to travel"):
        write_working_folder(config_of("model=./m"), tmp_path / "b")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["run_root=runs"], "run_root=runs is relative"),
        (["tasks.train_file=nowhere.jsonl"], r"nowhere\.jsonl"),
        (["model=./nowhere"], r"no model folder at \./nowhere"),
    ],
)
def test_what_cannot_travel_is_refused(overrides, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        prepare(config_of(*overrides), SubmitOptions(), tmp_path / "job", "mine-1")


def test_a_submitted_run_is_a_job_of_its_own(tmp_path):
    server = FakeServer(make_job("mine-1", JobState.STOPPED), make_job("other-7"))
    config = config_of("ray.driver_num_cpus=1", "ray.driver_resources.redline_learner=0.01")
    job = submit_run(server, config, SubmitOptions(environment={"A": "b"}))
    request = server.request
    assert (job.id, job.run, job.directory) == ("mine-2", "mine", "/shared/runs/mine")
    assert request.command == "exec python -m redline.cluster.main train --config config.yaml"
    assert request.environment == {"RAY_JOB_STOP_WAIT_TIME_S": "30", "A": "b"}
    assert (request.num_cpus, request.resources) == (1.0, {"redline_learner": 0.01})
    assert "redline/dsl/x.py" in server.wheel_files
    assert "address: auto" in server.files["config.yaml"]
    assert not request.folder.exists()


def test_a_resumed_run_takes_its_overrides_along(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task_file(Path("t.jsonl"))
    overrides = ["steps=7", "tasks.train_file=t.jsonl"]
    server = FakeServer(make_job("mine-1", JobState.SUCCEEDED))
    options = SubmitOptions(overrides=overrides, resume=True, ship=False, python="/opt/python")
    submit_run(server, config_of(*overrides), options)
    assert server.request.command == (
        "exec /opt/python -m redline.cluster.main train --config config.yaml steps=7 "
        "ray.address=auto --resume"
    )
    assert server.request.wheel is None


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (make_job("mine-1", JobState.RUNNING), "run 'mine' is running as job mine-1"),
        (make_job("mine-1", JobState.PENDING), "is pending as job mine-1"),
        (make_job("mine-1", JobState.SUCCEEDED), "trained by job mine-1: add --resume"),
    ],
)
def test_the_same_run_twice_is_refused(job, message):
    with pytest.raises(UserError, match=message):
        refuse_twice([job], config_of(), resume=False)
    refuse_twice([job], config_of("name=another"), resume=False)
    refuse_twice([job], config_of("run_root=/elsewhere"), resume=False)


def test_a_running_run_is_not_resumed_and_one_that_is_not_there_neither(tmp_path):
    with pytest.raises(UserError, match="is running"):
        refuse_twice([make_job("mine-1")], config_of(), resume=True)
    refuse_twice([make_job("mine-1", JobState.STOPPED)], config_of(), resume=True)
    here = config_of(f"run_root={tmp_path}")
    with pytest.raises(UserError, match="no run to resume"):
        refuse_twice([], here, resume=True)
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match=r"exists at .*add --resume"):
        refuse_twice([], here, resume=False)


def test_a_run_without_a_place_is_refused_and_nothing_is_submitted():
    server = FakeServer(cpus=1.0)
    with pytest.raises(UserError, match=r"no place for sampler 1 of 1 .*free: head: 1 CPU"):
        submit_run(server, config_of("learner.num_cpus=1"), SubmitOptions())
    assert server.request is None


def test_jobs_are_found_by_id_and_by_run():
    jobs = [make_job("mine-1", JobState.STOPPED), make_job("mine-2"), make_job("x", run="")]
    assert find_job(jobs, "mine-1", "a").id == "mine-1"
    assert find_job(jobs, "mine", "a").id == "mine-2"
    assert find_job(jobs, "x", "a").id == "x"
    with pytest.raises(UserError, match=r"no job or run 'no' on a; the last ones are mine-1, mi"):
        find_job(jobs, "no", "a")
    assert next_id(jobs, "mine") == "mine-3"
    assert next_id([make_job("mine-fast-9")], "mine") == "mine-1"


def test_the_cause_of_a_failure_is_what_redline_said():
    message = "Job entrypoint command failed with exit code 2\nlogs:\nredline: no model at x\n\n"
    assert cause(make_job(message=message)) == "no model at x"
    assert cause(make_job(message="runtime_env setup failed")) == "runtime_env setup failed"


def test_submit_says_where_it_went(redline):
    server = FakeServer()
    status, out, err = redline(
        server, "submit", "--config", "demo", "name=mine", "run_root=/shared/runs", "--json"
    )
    record = json.loads(out)
    assert status == 0
    assert (record["job"], record["status"]) == ("mine-1", "PENDING")
    assert record["directory"] == "/shared/runs/mine"
    assert record["address"] == "http://head:8265"
    assert "redline status mine-1 --follow" in err


@pytest.mark.parametrize(
    ("ends", "message", "status"),
    [
        (JobState.SUCCEEDED, "", 0),
        (JobState.STOPPED, "", 130),
        (JobState.FAILED, "redline: too little memory", 1),
    ],
)
def test_following_ends_as_the_job_does(redline, ends, message, status):
    server = FakeServer(make_job("mine-1"), ends=ends, message=message)
    found, out, err = redline(server, "status", "mine", "--follow")
    assert found == status
    assert out.startswith("step 1/900\n")
    assert message.removeprefix("redline: ") in err


def test_status_lists_what_redline_submitted(redline, tmp_path):
    run_folder(tmp_path / "mine")
    ours = make_job("mine-1", run_root=str(tmp_path))
    server = FakeServer(make_job("other", run=""), ours)
    status, out, _ = redline(server, "status")
    assert status == 0
    assert out.splitlines()[1].split()[:2] == ["mine-1", "RUNNING"]
    assert "2/4" in out and "other" not in out
    status, out, _ = redline(server, "status", "mine", "--json")
    assert json.loads(out)["progress"] == {
        "step": 2, "steps": 4, "checkpoint": "step_2", "finished": False,
    }  # fmt: skip
    status, out, _ = redline(FakeServer(), "status")
    assert out == "no run was submitted to http://head:8265\n"


def run_folder(folder):
    (folder / "metrics").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    (folder / "config.yaml").write_text("name: mine\nsteps: 4\n")
    (folder / "metrics/steps.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"st')
    (folder / "checkpoints/latest").write_text("step_2\n")
    return folder


def test_a_runs_folder_has_a_status_without_any_cluster(redline, tmp_path):
    run_folder(tmp_path / "runs/mine")
    status, out, _ = redline(None, "status", "runs/mine")
    assert (status, out) == (0, "runs/mine: step 2/4, last checkpoint step_2\n")
    status, out, _ = redline(None, "status", "runs/mine", "--json")
    assert json.loads(out)["progress"]["checkpoint"] == "step_2"


@pytest.mark.parametrize("text", ["steps: [1\n", "name: mine\n", "", "steps: many\n"])
def test_a_half_written_run_is_refused_in_one_line(tmp_path, text):
    with pytest.raises(UserError, match="is no run directory: it has no config"):
        read_progress(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match="only half written or damaged") as caught:
        read_progress(tmp_path)
    assert "\n" not in str(caught.value)


def test_stop_tells_what_is_left(redline, tmp_path):
    run_folder(tmp_path / "mine")
    server = FakeServer(make_job("mine-1", run_root=str(tmp_path)))
    status, out, err = redline(server, "stop", "mine", "--json")
    assert status == 0
    assert json.loads(out)["status"] == "STOPPED"
    assert "last checkpoint step_2" in err and "--resume" in err
    status, _, err = redline(server, "stop", "mine-1")
    assert (status, err.splitlines()[0]) == (0, "job mine-1 is stopped already")
    status, _, err = redline(server, "stop", "yours")
    assert (status, err.count("\n")) == (2, 1)


def test_the_files_for_rays_own_command_are_written(redline, tmp_path):
    status, out, _ = redline(
        None, "submit", "--config", "demo", "run_root=/shared/runs", "--write", "job",
        "--address", "http://head:8265", "--env", "A=b c",
    )  # fmt: skip
    assert status == 0
    (wheel,) = (tmp_path / "job").glob("*.whl")
    for part in (
        "ray job submit --address http://head:8265 --submission-id demo-1",
        '{"redline_run": "demo", "redline_run_root": "/shared/runs", "redline_steps": "900"}',
        str(wheel), '"A": "b c"', f"--working-dir {tmp_path}/job/working",
        "-- exec python -m redline.cluster.main train --config config.yaml",
    ):  # fmt: skip
        assert part in out
    status, _, err = redline(
        None, "submit", "--config", "demo", "run_root=/shared/runs", "--write", "job"
    )
    assert (status, err.count("\n")) == (2, 1)
    assert "File exists" in err
    status, _, err = redline(None, "submit", "--config", "demo", "--env", "=x")
    assert status == 2 and "expected NAME=VALUE" in err

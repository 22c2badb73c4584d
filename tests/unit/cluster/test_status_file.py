"""The status of a run as a file: written as a whole, read without engines, refused in one line."""

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.cluster.errors import UserError
from redline.cluster.status_file import (
    RunState,
    RunStatus,
    Sample,
    WorkerState,
    WorkerStatus,
    find_run,
    read_status,
    status_from_json,
    to_json,
    write_status,
)

texts = st.text(max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
workers = st.builds(
    WorkerStatus,
    name=texts,
    role=texts,
    state=st.sampled_from(WorkerState),
    node=texts,
    version=st.none() | st.integers(0, 9),
    problem=texts,
    numbers=st.dictionaries(texts, numbers, max_size=3),
)
samples = st.builds(
    Sample, name=texts, labels=st.dictionaries(texts, texts, max_size=2), value=numbers
)
statuses = st.builds(
    RunStatus,
    run=texts,
    state=st.sampled_from(RunState),
    pid=st.integers(1, 9),
    host=texts,
    attempt=st.integers(1, 9),
    started_at=numbers,
    written_at=numbers,
    steps=st.integers(0, 9),
    phases=st.lists(texts, max_size=2),
    problem=texts,
    curves=st.dictionaries(texts, numbers, max_size=3),
    workers=st.lists(workers, max_size=2),
    samples=st.lists(samples, max_size=3),
)


def make_status(**changes):
    status = RunStatus(
        run="mine", state=RunState.TRAINING, pid=1, host="here", attempt=1, started_at=10.0,
        written_at=20.0, steps=4,
    )  # fmt: skip
    return replace(status, **changes)


def run_folder(root, name="mine"):
    folder = root / name
    folder.mkdir()
    (folder / "config.yaml").write_text("name: mine\n")
    return folder


@given(status=statuses)
def test_what_was_written_is_read(status, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_status(folder, status)
    assert read_status(folder) == status
    assert [path.name for path in folder.iterdir()] == ["status.json"]


def test_numbers_that_are_not_finite_are_left_out(tmp_path):
    status = make_status(
        curves={"learner/kl": float("nan"), "learner/entropy": 1.0},
        samples=[Sample(name="redline_kl", labels={}, value=float("inf"))],
    )
    write_status(tmp_path, status)
    found = read_status(tmp_path)
    assert found.curves == {"learner/entropy": 1.0}
    assert found.samples == []


def test_a_driver_that_stopped_writing_is_late_unless_its_run_is_over():
    assert make_status().late(now=100.0)
    assert not make_status().late(now=21.0)
    assert not make_status(state=RunState.FAILED).late(now=100.0)


def test_samples_are_summed_over_the_labels_that_were_not_asked_for():
    status = make_status(
        samples=[
            Sample(name="kills", labels={"worker": "a", "reason": "cpu"}, value=1.0),
            Sample(name="kills", labels={"worker": "b", "reason": "cpu"}, value=2.0),
            Sample(name="kills", labels={"worker": "b", "reason": "wall"}, value=4.0),
        ]
    )
    assert status.value("kills") == 7.0
    assert status.value("kills", reason="cpu") == 3.0
    assert status.value("kills", reason="none") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"format": 1',
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "state": "dancing"}',
        '{"format": 1, "state": "training", "workers": 3, "samples": []}',
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path, text):
    folder = run_folder(tmp_path)
    (folder / "status.json").write_text(text)
    with pytest.raises(UserError, match="is no status of a run") as caught:
        read_status(folder)
    assert "\n" not in str(caught.value)


def test_unknown_fields_are_refused():
    with pytest.raises(TypeError):
        status_from_json({**to_json(make_status()), "colour": "red"})


def test_a_run_without_status_and_no_run_are_told_apart(tmp_path):
    folder = run_folder(tmp_path)
    with pytest.raises(UserError, match=r"'mine' .* has no status\.json"):
        read_status(folder)
    with pytest.raises(UserError, match="no run directory at"):
        read_status(tmp_path / "other")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no config"):
        read_status(tmp_path / "empty")


def test_a_run_is_found_by_name_and_by_path(tmp_path):
    folder = run_folder(tmp_path)
    assert find_run("mine", tmp_path) == folder
    assert find_run(str(folder), tmp_path / "elsewhere") == folder
    with pytest.raises(UserError, match=r"no run 'yours'.*there are mine"):
        find_run("yours", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no config"):
        find_run("empty", tmp_path)


def test_the_reader_needs_no_engine():
    code = (
        "import sys; import redline.cluster.status_file;"
        "print([m for m in ('ray', 'torch', 'vllm', 'rich') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"

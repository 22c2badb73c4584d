"""Task files: what is read back, what is refused, and how it is said."""

import json
import re

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.dsl import files
from redline.dsl.task_fields import TaskFieldError, task_from_json, task_to_json
from redline.dsl.task_files import TaskFileError, iter_tasks, read_tasks, write_tasks
from redline.dsl.tasks import RepairTask

MINIMAL = {"task_id": "t", "prompt": "p", "broken": "b", "tests": ["assert f(1)"]}

# Hypothesis' default alphabet has no surrogates, which is what UTF-8 can write.
text = st.text(st.characters(exclude_categories=["Cs"]))
filled = text.filter(str.strip)
tasks = st.builds(
    RepairTask,
    task_id=filled,
    prompt=text,
    broken=text,
    tests=st.lists(filled, min_size=1, max_size=3).map(tuple),
    setup=text,
    reference=st.none() | filled,
    entry_point=st.none() | filled,
    split=text,
    source=text,
)


def task(task_id: str) -> RepairTask:
    return RepairTask(task_id=task_id, prompt="p", broken="b", tests=("assert True",))


def write_lines(path, *lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


@given(tasks)
def test_json_gives_back_the_record_on_one_line(record):
    line = task_to_json(record)
    assert "\n" not in line
    assert task_from_json(line) == record


def test_files_give_back_the_records(tmp_path):
    path = tmp_path / "tasks.jsonl"
    records = [task("a"), task("b\u2028\r\n\x85"), task("ü")]
    write_tasks(path, records)
    assert read_tasks(path) == records
    assert read_tasks(str(path)) == records
    assert [entry.name for entry in tmp_path.iterdir()] == ["tasks.jsonl"]


def test_absent_fields_have_the_defaults_of_the_record():
    assert task_from_json(json.dumps(MINIMAL)) == RepairTask(
        task_id="t", prompt="p", broken="b", tests=("assert f(1)",)
    )


def test_blank_lines_and_a_byte_order_mark_are_skipped(tmp_path):
    path = write_lines(
        tmp_path / "f", "\ufeff" + task_to_json(task("a")), "", "  \r", task_to_json(task("b"))
    )
    assert [t.task_id for t in read_tasks(path)] == ["a", "b"]


def test_notes_are_ignored_also_when_they_resemble_a_field_that_is_there():
    noted = MINIMAL | {"difficulty": 3, "test": None}
    assert task_from_json(json.dumps(noted)) == task_from_json(json.dumps(MINIMAL))


def test_a_misspelled_field_is_not_a_note():
    with pytest.raises(TaskFieldError, match=r"field \"setpu\": got an unknown .* 'setup'"):
        task_from_json(json.dumps(MINIMAL | {"setpu": "import math"}))


@pytest.mark.parametrize("name", ["task_id", "prompt", "broken", "tests"])
def test_required_fields(name):
    fields = {key: value for key, value in MINIMAL.items() if key != name}
    with pytest.raises(TaskFieldError, match=f"field '{name}': got none, expected"):
        task_from_json(json.dumps(fields))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, 3) for name in ("task_id", "prompt", "broken", "tests", "setup", "reference")),
        *((name, ["x"]) for name in ("entry_point", "split", "source")),
        *((name, None) for name in ("task_id", "prompt", "broken", "tests", "setup", "split")),
        ("task_id", " "),
        ("tests", []),
        ("tests", "assert True"),
        ("tests", ["assert True", 1]),
        ("tests", ["assert True", "\n"]),
        ("tests", {"a": "b"}),
        ("reference", ""),
        ("broken", "\ud800"),
        ("prompt", "x" * 1000 + "\udfff"),
    ],
)
def test_every_field_is_checked(name, value):
    with pytest.raises(TaskFieldError) as caught:
        task_from_json(json.dumps(MINIMAL | {name: value}))
    message = str(caught.value)
    assert message.startswith(f"field '{name}': got {json.dumps(value)[:20]}")
    assert re.search(r", expected .+; .+", message)
    assert len(message) < 250
    assert "\n" not in message


@pytest.mark.parametrize("line", ["{", "3", "[]", "null", '"a"', "[" * 100_000, "9" * 5000])
def test_what_is_no_json_object_is_refused(line):
    with pytest.raises(TaskFieldError, match="JSON"):
        task_from_json(line)


def test_the_place_is_named(tmp_path):
    bad = json.dumps(MINIMAL | {"tests": None})
    path = write_lines(tmp_path / "tasks.jsonl", task_to_json(task("a")), "", bad)
    with pytest.raises(TaskFileError) as caught:
        read_tasks(path)
    assert str(caught.value) == (
        f"{path}:3: field 'tests': got null, expected a list of one or more Python snippets, "
        'none of them blank; write it as ["assert ...", "assert ..."]'
    )


def test_duplicate_ids_are_refused_with_both_lines(tmp_path):
    path = write_lines(tmp_path / "f", *[task_to_json(task(name)) for name in "aba"])
    with pytest.raises(TaskFileError, match=r"f:3: field 'task_id': got 'a', which line 1"):
        read_tasks(path)


def test_bytes_that_are_not_utf8_are_refused(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(task_to_json(task("a")).encode() + b"\n\xff{}\n")
    with pytest.raises(TaskFileError, match=r"f:2: 'utf-8' codec can't decode"):
        read_tasks(path)


def test_a_file_without_tasks_is_refused(tmp_path):
    with pytest.raises(TaskFileError, match="got no task"):
        read_tasks(write_lines(tmp_path / "empty", ""))


@pytest.mark.parametrize("path", ["missing.jsonl", ".", "nosuchscheme://bucket/f", "a\0b"])
def test_a_path_that_cannot_be_used_is_one_line(tmp_path, path):
    where = path if "://" in path else str(tmp_path / path)
    for use in (read_tasks, lambda path: write_tasks(f"{path}/no/folder", [task("a")])):
        with pytest.raises(TaskFileError, match=r"cannot be (read|written): .+") as caught:
            use(where)
        assert "\n" not in str(caught.value)


def test_reading_is_lazy(tmp_path):
    path = write_lines(tmp_path / "f", task_to_json(task("a")), "not JSON")
    stream = iter_tasks(path)
    assert next(stream).task_id == "a"
    with pytest.raises(TaskFileError, match="f:2: not JSON"):
        next(stream)


@pytest.mark.parametrize(
    "records",
    [
        [task("a"), task("a")],
        [task("a"), RepairTask(task_id="b", prompt="p", broken="b", tests=())],
        [RepairTask(task_id="a", prompt="\ud800", broken="b", tests=("assert True",))],
    ],
)
def test_what_could_not_be_read_back_is_not_written(tmp_path, records):
    path = write_lines(tmp_path / "f", "as before")
    with pytest.raises(TaskFileError, match=rf"f:{len(records)}: field '"):
        write_tasks(path, records)
    assert path.read_text() == "as before\n"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = write_lines(tmp_path / "f", "as before")

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(TaskFileError, match="f: cannot be written: No space left on device"):
        write_tasks(path, [task("a")])
    assert path.read_text() == "as before\n"
    assert list(tmp_path.iterdir()) == [path]


def test_links_are_followed(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    write_tasks(link, [task("a")])
    assert link.is_symlink()
    assert read_tasks(target) == [task("a")]


def test_paths_with_a_scheme_go_through_fsspec():
    path = "memory://bucket/tasks.jsonl"
    write_tasks(path, [task("a"), task("b")])
    assert read_tasks(path) == [task("a"), task("b")]
    assert fsspec.filesystem("memory").exists("/bucket/tasks.jsonl")

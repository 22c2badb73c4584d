"""Readers: each published format gives the same records, whatever its line ends and setup."""

import json
import sys
import types

import pytest

from redline.dsl.readers.tidy import tidy_program
from redline.dsl.task_files import TaskFileError, read_task_file, write_tasks

MBPP = {
    "task_id": 601,
    "text": "Write a function to add one.",
    "code": "import math\r\ndef f(a): \r\n\treturn a + 1 \r\n",
    "test_setup_code": "",
    "test_list": ["assert f(1) == 2", "assert f(2) == 3"],
    "challenge_test_list": [],
}
HUMANEVALFIX = {
    "task_id": "Python/7",
    "instruction": "Write f.",
    "declaration": "def f(a):\n",
    "buggy_solution": "    return a\n",
    "canonical_solution": "    return a + 1\n",
    "test": "\n\ndef check(f):\n    assert f(1) == 2\n\ncheck(f)",
    "entry_point": "f",
}
FAILING = {
    "task_id": 11,
    "model": "some-model",
    "text": "Add one.",
    "buggy_code": "def f(a):\n  return a",
    "reference_code": "def f(a):\n\treturn a + 1",
    "test_setup_code": "",
    "test_list": ["assert f(1) == 2"],
}


def write(path, *objects):
    path.write_text("".join(json.dumps(each) + "\n" for each in objects), encoding="utf-8")
    return path


def read_one(tmp_path, fields):
    file = read_task_file(write(tmp_path / "data.jsonl", fields))
    [task] = file.tasks
    return task


def test_mbpp(tmp_path):
    task = read_one(tmp_path, MBPP)
    assert task.task_id == "mbpp/601"
    assert task.prompt == "Write a function to add one."
    assert task.reference == "import math\ndef f(a):\n    return a + 1"
    assert task.broken == "" and task.setup == ""
    assert task.tests == ("assert f(1) == 2", "assert f(2) == 3")
    assert (task.entry_point, task.split, task.source) == ("f", "train", "mbpp")


@pytest.mark.parametrize(
    ("number", "split"),
    [(1, "prompt"), (10, "prompt"), (11, "test"), (510, "test"), (511, "validation"),
     (600, "validation"), (601, "train"), (974, "train")],
)  # fmt: skip
def test_the_splits_of_mbpp_are_those_of_its_numbers(tmp_path, number, split):
    assert read_one(tmp_path, MBPP | {"task_id": number}).split == split


def test_setup_code_stands_in_front_of_each_test(tmp_path):
    setup = "root = Node(1) \r\nroot.left = Node(2) \r\n"
    task = read_one(tmp_path, MBPP | {"test_setup_code": setup})
    assert task.setup == ""
    assert task.tests[1] == "root = Node(1) \nroot.left = Node(2) \nassert f(2) == 3"


def test_humanevalfix(tmp_path):
    task = read_one(tmp_path, HUMANEVALFIX)
    assert task.task_id == "humanevalfix/7"
    assert task.broken == "def f(a):\n    return a"
    assert task.reference == "def f(a):\n    return a + 1"
    assert task.tests == ("def check(f):\n    assert f(1) == 2\n\ncheck(f)",)
    assert (task.entry_point, task.split) == ("f", "test")


def test_failing_programs_have_the_split_of_their_problem(tmp_path):
    task = read_one(tmp_path, FAILING)
    assert task.task_id.startswith("mbpp-failing/11/some-model/")
    assert task.broken == "def f(a):\n  return a"
    assert task.reference == "def f(a):\n    return a + 1"
    assert task.split == "test"
    assert read_one(tmp_path, FAILING | {"task_id": 700}).split == "train"


def test_several_programs_of_one_model_have_ids_of_their_own(tmp_path):
    other = FAILING | {"buggy_code": "def f(a):\n  return 0"}
    file = read_task_file(write(tmp_path / "f.jsonl", FAILING, other))
    assert len({task.task_id for task in file.tasks}) == 2


def test_only_mbpp_has_no_broken_programs(tmp_path):
    formats = [
        read_task_file(write(tmp_path / "f.jsonl", fields)).format
        for fields in (MBPP, HUMANEVALFIX, FAILING)
    ]
    assert [each.references_only for each in formats] == [True, False, False]


def test_what_was_read_can_be_written_and_read_as_redline_tasks(tmp_path):
    for fields in (HUMANEVALFIX, FAILING, MBPP):
        task = read_one(tmp_path, fields)
        write_tasks(tmp_path / "tasks.jsonl", [task])
        again = read_task_file(tmp_path / "tasks.jsonl")
        assert again.tasks == (task,)
        assert again.format.name == "redline task"


def test_a_redline_task_with_notes_of_other_formats_stays_one(tmp_path):
    fields = {"task_id": "a", "prompt": "p", "broken": "b", "tests": ["assert f()"], "code": "c"}
    assert read_one(tmp_path, fields).broken == "b"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (MBPP | {"test_list": []}, r":1: field 'test_list': got \[\], expected a list of one"),
        (MBPP | {"code": " "}, r":1: field 'code': got \" \", expected a string"),
        (MBPP | {"task_id": "601"}, r":1: field 'task_id': got \"601\", expected a whole number"),
        (MBPP | {"task_id": 975}, r":1: field 'task_id': got 975, expected 1 to 974"),
        ({k: v for k, v in MBPP.items() if k != "text"}, r":1: field 'text': got none"),
        (HUMANEVALFIX | {"test": ""}, r":1: field 'test': got \"\""),
        (HUMANEVALFIX | {"entry_point": None}, r":1: field 'entry_point': got null"),
        (FAILING | {"reference_code": None}, r":1: field 'reference_code': got null"),
    ],
)
def test_faults_name_line_and_field(tmp_path, fields, message):
    with pytest.raises(TaskFileError, match=message):
        read_one(tmp_path, fields)


def test_an_object_of_no_format_says_what_was_expected(tmp_path):
    with pytest.raises(TaskFileError) as caught:
        read_one(tmp_path, {"question": "?", "answer": "!"})
    message = str(caught.value)
    assert "data.jsonl:1: got an object with the fields 'question', 'answer'" in message
    for name in ("redline task", "MBPP problem", "HumanEvalFix problem", "failing program"):
        assert name in message
    assert "\n" not in message


def test_a_file_of_no_format_says_what_was_expected(tmp_path):
    (tmp_path / "f").write_text("import os\n")
    with pytest.raises(TaskFileError, match=r"f:1: not JSON.*each line.*MBPP problem \(task_id"):
        read_task_file(tmp_path / "f")


def test_a_line_of_another_format_is_a_fault(tmp_path):
    with pytest.raises(TaskFileError, match=r"f:2: field 'task_id': got \"Python/7\""):
        read_task_file(write(tmp_path / "f", MBPP, HUMANEVALFIX))


def test_data_sets_of_the_hub(tmp_path, monkeypatch):
    asked = []

    def load_dataset(name, configuration):
        asked.append((name, configuration))
        return {"test": [MBPP | {"task_id": 11}], "train": [MBPP]}

    fake = types.SimpleNamespace(load_dataset=load_dataset)
    monkeypatch.setitem(sys.modules, "datasets", fake)
    file = read_task_file("hf:mbpp")
    assert asked == [("google-research-datasets/mbpp", "full")]
    assert [task.split for task in file.tasks] == ["test", "train"]


def test_a_data_set_without_the_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(TaskFileError, match=r"^hf:mbpp: .*pip install datasets"):
        read_task_file("hf:mbpp")


@pytest.mark.parametrize(
    ("program", "tidy"),
    [
        ("a = 1\r\nb = 2\r\n", "a = 1\nb = 2"),
        ("a = 1\rb = 2", "a = 1\nb = 2"),
        ("def f():  \n\tif a: \n\t\treturn 1\t", "def f():\n    if a:\n        return 1"),
        # A blank inside a string that spans lines belongs to the program.
        ("a = '''x \ny'''", "a = '''x \ny'''"),
        ("a = '''\n\tx'''", "a = '''\n\tx'''"),
        # What does not parse keeps its tabs: nobody knows what they mean.
        ("def f(:\n\treturn  ", "def f(:\n\treturn  "),
        ("", ""),
    ],
)
def test_programs_are_made_uniform_without_changing_their_meaning(program, tidy):
    assert tidy_program(program) == tidy

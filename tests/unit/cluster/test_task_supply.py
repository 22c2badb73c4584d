"""Tasks of a run from files: of the right split, with sound references, kept for a resume."""

import json

import pytest

from redline.cluster.config import TaskSettings
from redline.cluster.errors import UserError
from redline.cluster.task_supply import check_task_files, supply_heldout, supply_tasks
from redline.dsl.task_files import write_tasks
from redline.dsl.tasks import RepairTask

CODE = (
    "def f(a):\n    b = a + 1\n    return b",
    "def g(a, b):\n    return a * b",
    "def h(): return 3",
)


def mbpp(path, numbers):
    lines = [
        {
            "task_id": number,
            "text": f"Problem {number}.",
            "code": CODE[number % 3].replace("\n", "\r\n"),
            "test_setup_code": "",
            "test_list": [f"assert f({number})"],
        }
        for number in numbers
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def task(name, **more):
    fields = {"prompt": "p", "broken": "b", "tests": ("assert f()",), "reference": "r"}
    return RepairTask(task_id=name, **(fields | more))


def judge(tasks, programs):
    """References pass but those of the tasks called bad."""
    return [
        program == task.reference and "bad" not in task.task_id
        for task, program in zip(tasks, programs, strict=True)
    ]


def test_references_alone_become_broken_tasks_of_their_split(tmp_path):
    path = mbpp(tmp_path / "mbpp.jsonl", [11, 12, 601, 602, 603])
    settings = TaskSettings(train_file=path, heldout_file=path, train_count=9, heldout_count=4)
    supply = supply_tasks(settings, tmp_path / "tasks", judge)
    assert len(supply.train) == 9
    assert {task.split for task in supply.train} == {"train"}
    assert len(supply.heldout) == 4
    assert {task.split for task in supply.heldout} == {"test"}
    for made in (*supply.train, *supply.heldout):
        assert made.broken not in ("", made.reference)


def test_a_resumed_run_has_the_tasks_that_it_began_with(tmp_path):
    path = mbpp(tmp_path / "mbpp.jsonl", [601, 602])
    settings = TaskSettings(train_file=path, train_count=5, heldout_count=2, heldout_family_count=1)
    first = supply_tasks(settings, tmp_path / "tasks", judge)
    mbpp(tmp_path / "mbpp.jsonl", [603])

    def never(tasks, programs):
        raise AssertionError("judged again")

    assert supply_tasks(settings, tmp_path / "tasks", never) == first


def test_failing_references_are_listed_dropped_and_counted(tmp_path, capsys):
    write_tasks(tmp_path / "t", [task("a"), task("bad/1"), task("b"), task("c", reference=None)])
    settings = TaskSettings(heldout_file=str(tmp_path / "t"))
    assert [t.task_id for t in supply_heldout(settings, judge)] == ["a", "b", "c"]
    err = capsys.readouterr().err
    assert "task bad/1 dropped: its reference fails its tests" in err
    assert "1 of 3 references fail" in err


def test_strict_refuses_failing_references(tmp_path):
    write_tasks(tmp_path / "t", [task("a"), task("bad/1")])
    settings = TaskSettings(heldout_file=str(tmp_path / "t"), strict=True)
    with pytest.raises(UserError, match=r"references of 1 of 2 tasks fail their tests \(bad/1\)"):
        supply_heldout(settings, judge)


def test_nothing_but_failing_references_is_refused(tmp_path):
    write_tasks(tmp_path / "t", [task("bad/1"), task("bad/2")])
    with pytest.raises(UserError, match="references of all 2 tasks fail"):
        supply_heldout(TaskSettings(heldout_file=str(tmp_path / "t")), judge)


def test_training_on_a_test_split_is_refused_before_anything_starts(tmp_path):
    path = mbpp(tmp_path / "mbpp.jsonl", [11, 12])
    with pytest.raises(UserError, match=r"no task that may be trained on, the file has 2 of 'tes"):
        check_task_files(TaskSettings(train_file=path))
    path = mbpp(tmp_path / "mbpp.jsonl", [11, 601])
    check_task_files(TaskSettings(train_file=path))
    with pytest.raises(UserError, match="split 'test' is for evaluation"):
        check_task_files(TaskSettings(train_file=path, train_split="test"))
    with pytest.raises(UserError, match=r"mbpp.jsonl: no task of split 'dev'"):
        check_task_files(TaskSettings(heldout_file=path, heldout_split="dev"))


def test_too_few_references_for_the_count_are_an_error(tmp_path):
    path = mbpp(tmp_path / "mbpp.jsonl", [602])
    settings = TaskSettings(train_file=path, train_count=5000, edits_max=1)
    with pytest.raises(UserError, match=r"mbpp.jsonl: 5000 different tasks from 1 references"):
        supply_tasks(settings, tmp_path / "tasks", judge)

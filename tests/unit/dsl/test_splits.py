"""What may be trained on."""

import pytest

from redline.dsl.splits import SplitError, tasks_to_evaluate_on, tasks_to_train_on
from redline.dsl.tasks import RepairTask


def tasks(*splits):
    return [
        RepairTask(task_id=str(n), prompt="", broken="", tests=("assert True",), split=split)
        for n, split in enumerate(splits)
    ]


def splits(chosen):
    return [task.split for task in chosen]


def test_evaluation_splits_are_left_out_of_training():
    mixed = tasks("prompt", "test", "validation", "train", "heldout", "mine", "heldout_family")
    assert splits(tasks_to_train_on(mixed)) == ["train", "mine"]
    assert splits(tasks_to_train_on(mixed, "mine")) == ["mine"]


@pytest.mark.parametrize("split", ["test", "validation", "prompt", "heldout", "heldout_family"])
def test_nobody_trains_on_an_evaluation_split(split):
    with pytest.raises(SplitError, match=f"split '{split}' is for evaluation"):
        tasks_to_train_on(tasks(split, "train"), split)
    with pytest.raises(SplitError, match=f"no task that may be trained on.*2 of '{split}'"):
        tasks_to_train_on(tasks(split, split))


def test_a_split_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(SplitError, match="no task of split 'tarin', the file has 1 of 'train'"):
        tasks_to_train_on(tasks("train"), "tarin")
    with pytest.raises(SplitError, match="no task of split 'x'"):
        tasks_to_evaluate_on(tasks("train"), "x")


def test_evaluation_takes_the_test_split_or_everything():
    assert splits(tasks_to_evaluate_on(tasks("train", "test", "validation"))) == ["test"]
    assert splits(tasks_to_evaluate_on(tasks("heldout", "train"))) == ["heldout", "train"]
    assert splits(tasks_to_evaluate_on(tasks("test", "train"), "train")) == ["train"]

"""Few-shot prompts: examples with their programs, then the task without one."""

import pytest

from redline.dsl.answers import OPEN_BLOCK, program_of_block
from redline.dsl.few_shot import render_few_shot
from redline.dsl.tasks import RepairTask


def task(number, reference="def f(a):\n    return a"):
    return RepairTask(
        task_id=f"t{number}", prompt=f"Return {number}.\n", broken="BROKEN",
        tests=(f"assert f({number}) == {number}", "assert f(0) == 0"), reference=reference,
    )  # fmt: skip


def test_examples_show_program_and_tests_and_the_task_only_its_tests():
    text = render_few_shot(task(3, "SECRET"), [task(1), task(2)])
    asked = "You are an expert Python programmer, and here is your task: Return {0}."
    tests = "Your code should pass these tests:\nassert f({0}) == {0}\nassert f(0) == 0"
    block = f"{OPEN_BLOCK}def f(a):\n    return a\n```"
    parts = [f"{asked}\n{tests}\n{block}".format(number) for number in (1, 2)]
    assert text == "\n\n".join([*parts, f"{asked}\n{tests}".format(3)])
    assert "SECRET" not in text and "BROKEN" not in text


def test_without_examples_there_is_the_task_alone():
    assert render_few_shot(task(1), []).count("here is your task") == 1


def test_an_example_can_be_read_back_the_way_a_reply_is():
    text = render_few_shot(task(2), [task(1)])
    assert program_of_block(text.split(OPEN_BLOCK)[1]) == "def f(a):\n    return a"


def test_an_example_needs_a_reference():
    with pytest.raises(ValueError, match="t1"):
        render_few_shot(task(2), [task(1, None)])

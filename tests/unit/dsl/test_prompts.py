"""The text that the policy reads, to the last character."""

from redline.dsl.prompts import render_first_state, render_state
from redline.dsl.settings import PromptSettings
from redline.dsl.tasks import RepairTask

SETTINGS = PromptSettings()
TASK = RepairTask(
    task_id="t/1",
    prompt="Return a.\n\n",
    broken="def f(a):\n    return",
    tests=("assert f(1) == 1",),
)


def test_first_state():
    assert render_first_state(TASK, "f(1) returned None, expected 1", SETTINGS) == (
        "Return a.\n1|def f(a):\n2|    return\n***\nf(1) returned None, expected 1\n### "
    )


def test_later_states_have_no_header_and_silence_has_no_line():
    assert render_state("a = 1", "", SETTINGS) == "1|a = 1\n***\n### "


def test_every_line_that_the_editor_counts_is_shown():
    assert render_state("a\r\n\n", "", SETTINGS) == "1|a\r\n2|\n3|\n***\n### "


def test_the_prefix_is_a_setting():
    assert render_state("", "", PromptSettings(command_prefix="")) == "1|\n***\n"

"""Demonstrations: every one ends solved, with EXIT, and reads as an episode does."""

from dataclasses import replace

import pytest

from redline.dsl.commands import AddLine, DeleteLine, Exit, ReplaceLine
from redline.dsl.demonstrations import (
    Demonstration,
    DemonstrationError,
    demonstrate,
    programs_of,
    render_demonstrations,
)
from redline.dsl.generated import GeneratedTask
from redline.dsl.generator import generate_tasks
from redline.dsl.parser import parse
from redline.dsl.remembered_feedback import RememberedFeedback
from redline.dsl.settings import PromptSettings
from redline.dsl.tasks import RepairTask

TASK = RepairTask(
    task_id="t/1",
    prompt="Write f(a) that returns a plus 1.",
    broken="def g(a):\n    return a",
    tests=("assert f(1) == 2",),
    reference="def f(a):\n    return a + 1",
    source="builtin/test",
)
REPAIR = (ReplaceLine(1, "def f(a):"), ReplaceLine(2, "    return a + 1"))


def tell(asked):
    return ["" if program == task.reference else "f(1) failed" for task, program in asked]


def generated(count=100):
    return generate_tasks(
        count=count, seed=5, edits=(1, 4), judge=lambda tasks, programs: [False] * len(tasks)
    )


def test_demonstrations_end_in_the_reference_and_exit(child_judge):
    made = demonstrate(generated(), child_judge)
    for demonstration in made:
        assert demonstration.commands[-1] == Exit()
        assert Exit() not in demonstration.commands[:-1]
        assert programs_of(demonstration)[0] == demonstration.task.broken
        assert programs_of(demonstration)[-1] == demonstration.task.reference


def test_a_rendered_demonstration_reads_as_an_episode():
    made = demonstrate([GeneratedTask(task=TASK, repair=REPAIR)])
    [turns] = render_demonstrations(made, tell, PromptSettings())
    assert "".join(turn.state + turn.action for turn in turns) == (
        "Write f(a) that returns a plus 1.\n"
        "1|def g(a):\n2|    return a\n***\nf(1) failed\n### REPL 1 >>>def f(a):\n"
        "1|def f(a):\n2|    return a\n***\nf(1) failed\n### REPL 2 >>>    return a + 1\n"
        "1|def f(a):\n2|    return a + 1\n***\n### EXIT\n"
    )


def test_actions_parse_to_the_commands_and_feedback_is_asked_once():
    calls = []

    def counted(asked):
        calls.append(len(asked))
        return tell(asked)

    made = demonstrate(generated())
    rendered = render_demonstrations(made, counted, PromptSettings())
    assert calls == [sum(len(demonstration.commands) for demonstration in made)]
    for demonstration, turns in zip(made, rendered, strict=True):
        assert all(turn.action.endswith("\n") for turn in turns)
        assert tuple(parse(turn.action[:-1]) for turn in turns) == demonstration.commands


def test_a_repair_that_misses_the_reference_is_refused():
    short = GeneratedTask(task=TASK, repair=REPAIR[:1])
    with pytest.raises(DemonstrationError, match=r"t/1.*expected the reference"):
        demonstrate([short])


def test_a_repair_that_does_not_fit_is_refused():
    with pytest.raises(DemonstrationError, match=r"t/1.*DELL 9"):
        demonstrate([GeneratedTask(task=TASK, repair=(DeleteLine(9),))])


def test_a_judge_can_refuse():
    with pytest.raises(DemonstrationError, match=r"1 repaired programs fail.*t/1"):
        demonstrate([GeneratedTask(task=TASK, repair=REPAIR)], lambda tasks, programs: [False])


def test_no_demonstrations_ask_for_nothing():
    def never(asked):
        raise AssertionError("asked for feedback on nothing")

    assert demonstrate([]) == []
    assert render_demonstrations([], never, PromptSettings()) == []


def test_feedback_is_remembered():
    asked_for = []

    def ask(asked):
        asked_for.extend(program for _, program in asked)
        return tell(asked)

    feedback = RememberedFeedback(ask)
    demonstration = Demonstration(task=TASK, commands=(*REPAIR, Exit()))
    assert feedback.judge([TASK, TASK], [TASK.broken, TASK.reference]) == [False, True]
    render_demonstrations([demonstration, demonstration], feedback, PromptSettings())
    assert asked_for == ["def g(a):\n    return a", "def f(a):\n    return a"]


def test_references_are_trusted_only_where_they_made_the_tests():
    asked_for = []

    def ask(asked):
        asked_for.extend(asked)
        return ["broken"] * len(asked)

    foreign = replace(TASK, source="mbpp")
    assert RememberedFeedback(ask)([(foreign, foreign.reference)]) == ["broken"]
    distrustful = RememberedFeedback(ask, trust_references=False)
    assert distrustful([(TASK, TASK.reference)]) == ["broken"]
    assert len(asked_for) == 2


def test_remembered_feedback_tells_tasks_apart():
    feedback = RememberedFeedback(lambda asked: [task.tests[0] for task, _ in asked])
    other = replace(TASK, tests=("assert f(2) == 3",))
    program = AddLine(1, "x").content
    assert feedback([(TASK, program), (other, program)]) == [TASK.tests[0], other.tests[0]]

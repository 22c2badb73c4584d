"""Tasks made from references: spread evenly, different, failing, undone exactly."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from redline.dsl.editor import apply_all
from redline.dsl.generator import GenerationError
from redline.dsl.reference_tasks import ReferenceCorruptor, corrupt_references
from redline.dsl.settings import CorruptionSettings
from redline.dsl.tasks import RepairTask

PROGRAMS = (
    "def f(a):\n    if a < 3:\n        return 'low'\n    return a + 1",
    "def g(items):\n    total = 0\n    for v in items:\n        total += v\n    return total",
    "def h(n):\n    while n > 0:\n        n -= 1\n    return n",
)
TASKS = [
    RepairTask(
        task_id=f"t/{n}", prompt="p", broken="", tests=("assert True",), reference=program,
        split="train", source="mine",
    )
    for n, program in enumerate(PROGRAMS)
]  # fmt: skip


def all_fail(tasks, programs):
    return [False] * len(tasks)


def make(count=30, seed=0, judge=all_fail, **more):
    return corrupt_references(TASKS, count=count, seed=seed, judge=judge, **more)


def test_tasks_keep_everything_but_the_broken_program():
    made = make()
    assert len({g.task.task_id for g in made}) == 30
    assert len({(g.task.reference, g.task.broken) for g in made}) == 30
    assert Counter(g.task.reference for g in made) == dict.fromkeys(PROGRAMS, 10)
    for g in made:
        assert g.task.broken != g.task.reference
        assert apply_all(g.task.broken, g.repair) == g.task.reference
        assert 1 <= len(g.repair) <= 5
        assert (g.task.tests, g.task.split, g.task.source) == (("assert True",), "train", "mine")


def test_the_same_arguments_give_the_same_tasks():
    assert make() == make()
    assert make(seed=1) != make(seed=2)


def test_programs_that_pass_are_drawn_again():
    passing = {g.task.broken for g in make()[:5]}

    def judge(tasks, programs):
        return [program in passing for program in programs]

    made = make(judge=judge)
    assert len(made) == 30
    assert not passing & {g.task.broken for g in made}


def test_too_few_different_tasks_are_an_error():
    with pytest.raises(GenerationError, match=r"5 different tasks from 3 references.*got 0"):
        make(count=5, judge=lambda tasks, programs: [True] * len(tasks))


def test_a_reference_that_gives_no_more_leaves_its_place_to_others():
    short = replace(TASKS[0], task_id="t/short", reference="x = 1")
    settings = CorruptionSettings(delete=0, add=0, replace_line=0)
    made = corrupt_references(
        [short, TASKS[1]], count=30, seed=0, edits=(1, 1), judge=all_fail, settings=settings
    )
    counts = Counter(g.task.reference for g in made)
    assert len(made) == 30 and counts["x = 1"] < 10
    assert len({g.task.task_id for g in made}) == 30


def test_lines_come_from_the_other_programs_of_the_set():
    corruptor = ReferenceCorruptor(TASKS, (1, 1), CorruptionSettings(delete=0, replace_word=0))
    known = {line.strip() for n in (0, 2) for line in PROGRAMS[n].split("\n")}
    foreign = set()
    for seed in range(60):
        made = corruptor.draw(TASKS[1], Random(seed))
        if made is not None:
            foreign.add(made.task.broken.split("\n")[made.repair[0].line - 1].strip())
    assert len(foreign) > 3
    assert foreign <= known


def test_programs_that_may_run_forever_are_not_drawn():
    corruptor = ReferenceCorruptor(TASKS, (1, 3))
    broken = [corruptor.draw(TASKS[2], Random(seed)) for seed in range(300)]
    assert sum(made is None for made in broken) > 30
    for made in broken:
        if made is not None and "while n > 0:" in made.task.broken:
            assert "n -= 1" in made.task.broken


def test_edits_without_sense_are_refused():
    with pytest.raises(ValueError, match="edits: got 3 to 1"):
        ReferenceCorruptor(TASKS, (3, 1))

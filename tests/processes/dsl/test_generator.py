"""The generator: as many tasks as asked, of the split, different, broken, and always the same."""

from collections import Counter

import pytest

from redline.dsl.corruption_statistics import corruption_statistics
from redline.dsl.edit_distance import edit_distance
from redline.dsl.editor import apply_all
from redline.dsl.families import FAMILIES
from redline.dsl.generator import GenerationError, generate_tasks
from redline.dsl.settings import CorruptionSettings
from redline.dsl.splits import HELDOUT_SHARE, SPLITS, reference_split
from redline.dsl.task_files import read_tasks, write_tasks


def all_fail(tasks, programs):
    return [False] * len(tasks)


def make(count=150, seed=0, split="train", edits=(1, 3), judge=all_fail, **more):
    return generate_tasks(count=count, seed=seed, split=split, edits=edits, judge=judge, **more)


def pairs(generated):
    return {(g.task.reference, g.task.broken) for g in generated}


@pytest.mark.parametrize("split", SPLITS)
def test_tasks_are_complete_and_of_the_split(split):
    made = make(split=split, seed=3)
    assert [g.task.task_id for g in made] == [f"{split}-3-{n:06d}" for n in range(150)]
    assert len(pairs(made)) == 150
    for g in made:
        task, family = g.task, FAMILIES[g.task.family]
        assert task.split == split
        assert family.held_out == (split == "heldout_family")
        if not family.held_out:
            assert reference_split(task.reference) == split
        assert task.source == f"builtin/{family.name}"
        assert task.reference.startswith(f"def {task.entry_point}(")
        assert len(task.tests) == 3
        assert task.broken != task.reference
        assert apply_all(task.broken, g.repair) == task.reference
        assert 1 <= len(g.repair) <= 3


def test_families_are_balanced():
    trained = sum(not family.held_out for family in FAMILIES.values())
    counts = Counter(g.task.family for g in make(count=2 * trained))
    assert set(counts.values()) == {2} and len(counts) == trained


def test_the_same_arguments_give_the_same_tasks():
    assert make() == make()
    assert not pairs(make(seed=1)) & pairs(make(seed=2))


def test_a_smaller_count_gives_the_first_tasks():
    assert make(count=40) == make(count=90)[:40]


def test_train_and_heldout_references_are_disjoint_for_any_seeds():
    train = {g.task.reference for seed in range(3) for g in make(count=300, seed=seed)}
    held = {g.task.reference for s in range(3) for g in make(count=300, seed=s, split="heldout")}
    assert not train & held


def test_the_share_of_heldout_references_is_as_said():
    splits = Counter(reference_split(f"def f(a):\n    return {n}") for n in range(5000))
    assert abs(splits["heldout"] / 5000 - HELDOUT_SHARE) < 0.02


def test_the_split_of_a_program_never_changes():
    # A changed salt or hash would move tasks between training and evaluation.
    text = "".join(reference_split(f"x = {n}")[0] for n in range(40))
    assert text == "thttttttttttttttthtthththtttttttttttttht"


def test_broken_programs_that_pass_are_drawn_again():
    calls = []

    def judge(tasks, programs):
        calls.append(len(programs))
        # Every third task of the first batch passes.
        return [len(calls) == 1 and n % 3 == 0 for n in range(len(programs))]

    made = make(count=90, judge=judge)
    assert calls == [90, 30]
    assert len(made) == 90
    kept = {g.task.task_id for g in made} & {
        g.task.task_id for g in set(made) & set(make(count=90))
    }
    assert kept == {f"train-0-{n:06d}" for n in range(90) if n % 3}


def test_broken_programs_fail_in_truth(child_judge, child_outcomes):
    made = make(count=400, edits=(1, 5), judge=child_judge)
    tasks = [g.task for g in made]
    outcomes = Counter(child_outcomes(tasks, [task.broken for task in tasks]))
    assert outcomes["pass"] == 0
    assert outcomes["timeout"] + outcomes["MemoryError"] <= 2
    assert outcomes["AssertionError"] >= 20
    assert set(child_outcomes(tasks, [task.reference for task in tasks])) == {"pass"}


def test_families_can_be_chosen():
    assert {g.task.family for g in make(families=["scale", "wrap"])} == {"scale", "wrap"}
    by_kind = {g.task.family for g in make(families=["dicts", "scale"])}
    dicts = {f.name for f in FAMILIES.values() if f.kind == "dicts" and not f.held_out}
    assert by_kind == dicts | {"scale"}


def test_settings_reach_the_corruption():
    settings = CorruptionSettings(delete=0, add=0, replace_line=0)
    assert {k.value for g in make(settings=settings) for k in g.kinds} == {"replace_word"}


def test_tasks_survive_a_task_file(tmp_path):
    tasks = [g.task for g in make()]
    write_tasks(tmp_path / "tasks.jsonl", tasks)
    assert read_tasks(tmp_path / "tasks.jsonl") == tasks


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "test"}, "split: got 'test'"),
        ({"edits": (0, 2)}, "edits: got 0 to 2"),
        ({"edits": (3, 2)}, "edits: got 3 to 2"),
        ({"count": -1}, "count: got -1"),
        ({"families": ["nothing"]}, "nothing"),
        ({"families": ["clamp"]}, "clamp"),  # held out, not of split train
        ({"families": []}, "none"),
    ],
)
def test_arguments_without_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_programs_that_always_pass_end_in_an_error():
    with pytest.raises(GenerationError, match="got 0 after"):
        make(count=2, judge=lambda tasks, programs: [True] * len(tasks))


def test_no_tasks_are_no_fault():
    assert make(count=0) == []


def test_statistics_count_edits_and_distances():
    made = make(count=64, edits=(2, 2))
    figures = corruption_statistics(made)
    assert figures.tasks == 64
    assert figures.edits_per_task == {2: 64}
    assert sum(figures.kinds.values()) == 128
    assert 5 < figures.mean_edit_distance < 60
    assert corruption_statistics([]).mean_edit_distance == 0.0


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 2), ("abc", "abc", 0)],
)
def test_edit_distance(first, second, distance):
    assert edit_distance(first, second) == edit_distance(second, first) == distance

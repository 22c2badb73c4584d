"""Families: every program is short, said in full by its prompt, and told apart by its tests."""

import re
from random import Random

import pytest

from redline.dsl.families import FAMILIES, KINDS
from redline.dsl.families.asserts import MAX_INTEGER, make_tests
from redline.dsl.families.words import NAME_POOLS

SEEDS = range(250)
NAMES = {name for pool in NAME_POOLS for name in pool}
BUILTINS = {"range", "len", "sorted", "True", "False", "append", "get", "replace", "reverse"} | {
    "upper", "lower", "title", "startswith", "endswith",
}  # fmt: skip
KEYWORDS = {"def", "return", "for", "in", "if", "not", "while"}


def drafts(name, seeds=SEEDS):
    return [FAMILIES[name].draft(Random(f"{name}:{seed}")) for seed in seeds]


def words_of(text):
    return set(re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", text)))


def test_there_are_enough_families_of_each_kind_and_some_of_each_are_held_out():
    trained = [f for f in FAMILIES.values() if not f.held_out]
    assert len(trained) >= 44
    assert {f.kind for f in trained} == {f.kind for f in FAMILIES.values() if f.held_out}
    assert {f.kind for f in trained} == set(KINDS)


def test_the_vocabulary_is_small_and_free_of_keywords_and_builtins():
    assert 55 <= len(NAMES) <= 80
    assert len(NAMES) == sum(len(pool) for pool in NAME_POOLS)
    assert not NAMES & (KEYWORDS | BUILTINS)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_many_short_programs(name):
    made = drafts(name)
    references = {draft.reference for draft in made}
    assert len(references) >= 180  # of 250 draws
    for reference in references:
        lines = reference.split("\n")
        assert 2 <= len(lines) <= 7
        assert max(map(len, lines)) <= 48
        assert all(line == line.rstrip() and line for line in lines)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_prompt_determines_the_program(name):
    references = {}
    for draft in drafts(name):
        assert draft.prompt.startswith("Write ") and draft.prompt.endswith(".")
        assert len(draft.prompt) <= 120
        # One prompt, one program.
        assert references.setdefault(draft.prompt, draft.reference) == draft.reference
        names = words_of(draft.reference) - KEYWORDS - BUILTINS
        assert names <= NAMES
        assert names <= words_of(draft.prompt)
        for constant in re.findall(r"\d{2,}", draft.reference):
            assert constant in draft.prompt or constant == "10"  # 10 in "digit"


@pytest.mark.parametrize("name", FAMILIES)
def test_tests_hold_for_the_reference_and_tell_programs_apart(name):
    made = [(draft, make_tests(draft)) for draft in drafts(name, range(60))]
    usable = [(draft, tests) for draft, tests in made if tests is not None]
    assert len(usable) >= 50
    for draft, tests in usable:
        assert len(set(tests)) == 3
        assert len({test.rpartition(" == ")[2] for test in tests}) >= 2
        assert max(map(len, tests)) <= 110
        assert all(int(n) <= MAX_INTEGER for n in re.findall(r"\d+", " ".join(tests)))
        space = {}
        exec(draft.reference, space)  # our own template
        for test in tests:
            exec(test, space)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_a_function_of_its_seed(name):
    first, second = (drafts(name, range(5)) for _ in range(2))
    assert [(d.prompt, d.reference) for d in first] == [(d.prompt, d.reference) for d in second]
    assert [make_tests(d) for d in first] == [make_tests(d) for d in second]


def test_tests_find_a_threshold_moved_by_one():
    caught = total = 0
    for draft in drafts("count_where", range(100)):
        tests = make_tests(draft)
        operator = re.search(r"[<>]=?", draft.reference)[0]
        moved = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}[operator]
        space = {}
        exec(draft.reference.replace(f" {operator} ", f" {moved} "), space)  # our own template
        total += 1
        caught += not all(eval(test.removeprefix("assert "), space) for test in tests)
    assert caught / total >= 0.95

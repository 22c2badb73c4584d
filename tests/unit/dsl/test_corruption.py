"""Corruption: always a change, always undone exactly by its repair."""

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.dsl.commands import AddLine, DeleteLine, ReplaceLine, ReplaceWord
from redline.dsl.corruption import ORDERS, CorruptionError, EditKind, corrupt
from redline.dsl.editor import apply, apply_all
from redline.dsl.endless import may_run_forever
from redline.dsl.families import FAMILIES
from redline.dsl.parser import parse
from redline.dsl.printer import print_command
from redline.dsl.settings import CorruptionSettings
from redline.dsl.word_edits import exchange_word, tokenize

PROGRAM = "def f(a):\n    if a < 3:\n        return 'low'\n    return a + 1"
DONOR = "def g(items):\n    total = 0\n    for v in items:\n        total += v\n    return total"
ONLY = {
    kind: CorruptionSettings(
        **{k.value: float(k is kind) for k in EditKind},
    )
    for kind in EditKind
}
UNDONE_BY = {
    EditKind.DELETE: AddLine,
    EditKind.ADD: DeleteLine,
    EditKind.REPLACE_LINE: ReplaceLine,
    EditKind.REPLACE_WORD: ReplaceWord,
}


def reference(seed):
    rng = Random(seed)
    return rng.choice(list(FAMILIES.values())).draft(rng).reference


@given(seed=st.integers(0, 2**32), edits=st.integers(1, 5), order=st.sampled_from(ORDERS))
def test_the_repair_gives_the_reference_back(seed, edits, order):
    program, donors = reference(seed), [reference(f"{seed}:{n}") for n in range(3)]
    made = corrupt(program, Random(seed), edits, donors, CorruptionSettings(order=order))
    assert made.broken != program
    assert len(made.repair) == len(made.kinds) == edits
    assert apply_all(made.broken, made.repair) == program
    assert [type(c) for c in reversed(made.repair)] == [UNDONE_BY[kind] for kind in made.kinds]
    assert all(parse(print_command(command)) == command for command in made.repair)


text_lines = st.text(st.characters(blacklist_characters="\n", blacklist_categories=("Cs",)))


@given(lines=st.lists(text_lines, min_size=1, max_size=6), seed=st.integers(0, 2**32))
def test_any_text_can_be_corrupted_and_repaired(lines, seed):
    program = "\n".join(lines)
    made = corrupt(program, Random(seed), 2, [DONOR, PROGRAM])
    assert made.broken != program
    assert apply_all(made.broken, made.repair) == program


@pytest.mark.parametrize("kind", EditKind)
def test_shares_choose_the_kinds(kind):
    for seed in range(30):
        made = corrupt(PROGRAM, Random(seed), 1, [DONOR], ONLY[kind])
        assert made.kinds == (kind,)


def test_kinds_are_drawn_evenly_by_default():
    kinds = [k for s in range(400) for k in corrupt(PROGRAM, Random(s), 2, [DONOR]).kinds]
    assert all(0.2 < kinds.count(kind) / len(kinds) < 0.3 for kind in EditKind)


def test_the_same_seed_gives_the_same_corruption():
    first, second = (corrupt(PROGRAM, Random(7), 3, [DONOR]) for _ in range(2))
    assert first == second
    assert len({corrupt(PROGRAM, Random(seed), 3, [DONOR]).broken for seed in range(20)}) > 15


def test_top_down_repairs_never_go_back_up():
    for seed in range(200):
        repair = corrupt(PROGRAM, Random(seed), 3, [DONOR]).repair
        lines = [command.line for command in repair]
        assert lines == sorted(lines)


def test_random_order_goes_up_as_well():
    settings = CorruptionSettings(order="random")
    repairs = [corrupt(PROGRAM, Random(seed), 3, [DONOR], settings).repair for seed in range(50)]
    assert any(r[0].line > r[-1].line for r in repairs)


def test_donor_lines_fit_their_place():
    for seed in range(100):
        made = corrupt(PROGRAM, Random(seed), 1, [DONOR], ONLY[EditKind.REPLACE_LINE])
        for old, new in zip(PROGRAM.split("\n"), made.broken.split("\n"), strict=True):
            assert re.match(" *", old)[0] == re.match(" *", new)[0]
            assert old.endswith(":") == new.endswith(":")


def test_word_edits_keep_the_rest_of_the_line():
    line = "        total  +=  data[0]*3  # odd  spacing"
    edits = [exchange_word(line, Random(n), program=PROGRAM, donor=DONOR) for n in range(200)]
    found = [edit for edit in edits if edit is not None]
    assert len(found) > 150
    for edit in found:
        assert apply(edit.line, ReplaceWord(1, edit.new, edit.old)) == line
        before, after = line.split(edit.old), edit.line.split(edit.new)
        assert edit.line.startswith("        ") and len(before) == len(after) == 2
        assert before == after
        kinds = {t.kind for t in tokenize(PROGRAM + "\n" + DONOR) if t.text == edit.new}
        assert kinds & {t.kind for t in tokenize(line) if t.text == edit.old}


def test_a_word_that_replace_could_not_undo_is_not_chosen():
    # Exchanging `b` for `a` would give `a + a`, from which REPW makes `b + b`.
    for seed in range(100):
        found = exchange_word("return a + b", Random(seed), program="a", donor="a")
        assert found is None or found.line.replace(found.new, found.old) == "return a + b"
        assert found is None or found.line != "return a + a"


def test_tokens_have_kinds():
    kinds = [(t.text, t.kind) for t in tokenize("if x1 >= 20: s //= 'a b' + len(y)")]
    assert kinds == [
        ("if", "keyword"), ("x1", "name"), (">=", "comparison"), ("20", "number"), ("s", "name"),
        ("//=", "assignment"), ("'a b'", "string"), ("+", "arithmetic"), ("len", "name"),
        ("y", "name"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("edits", "donors", "settings"),
    [
        (0, [DONOR], CorruptionSettings()),
        (1, [], CorruptionSettings()),
        (1, [DONOR], CorruptionSettings(order="upside_down")),
        (1, [DONOR], CorruptionSettings(delete=-1.0)),
        (1, [DONOR], CorruptionSettings(delete=0, add=0, replace_line=0, replace_word=0)),
    ],
)
def test_arguments_without_sense_are_refused(edits, donors, settings):
    with pytest.raises(ValueError, match="got"):
        corrupt(PROGRAM, Random(0), edits, donors, settings)


def test_the_only_line_cannot_be_deleted():
    with pytest.raises(CorruptionError, match="no 1 edits found"):
        corrupt("x = 1", Random(0), 1, [DONOR], ONLY[EditKind.DELETE])


WHILE = "def f(a):\n    k = 0\n    while a > 0:\n        k += 1\n        a -= 1\n    return k"


@pytest.mark.parametrize(
    ("old", "new", "endless"),
    [
        ("        a -= 1\n", "", True),
        ("a -= 1", "a += 1", True),
        ("a > 0", "k > 0", True),
        ("while a > 0", "while True", True),
        ("k += 1\n", "a = 3\n", True),
        ("k += 1", "k += 2", False),
        ("return k", "return a", False),
        ("    while a > 0:\n", "", False),
    ],
)
def test_loops_that_may_not_end_are_recognised(old, new, endless):
    assert may_run_forever(WHILE.replace(old, new), WHILE) is endless


def test_a_list_that_grows_while_it_is_walked_is_recognised():
    program = "def f(xs):\n    out = []\n    for v in xs:\n        out.append(v)\n    return out"
    assert not may_run_forever(program, program)
    assert may_run_forever(program.replace("out.append", "xs.append"), program)
    assert may_run_forever(program.replace("in xs", "in out"), program)

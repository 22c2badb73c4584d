"""`diff` gives commands that apply in order, and as few of them as lines allow."""

import time
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.dsl.commands import AddLine, DeleteLine, Exit, ReplaceLine, ReplaceWord
from redline.dsl.diff import diff
from redline.dsl.editor import apply_all
from redline.dsl.parser import parse
from redline.dsl.printer import print_command
from redline.dsl.word_diff import word_edit

few_lines = st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=9).map("\n".join)
programs = few_lines | st.text()


def edit_distance(old: list[str], new: list[str]) -> int:
    """Levenshtein distance by its textbook definition."""

    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        if old[i - 1] == new[j - 1]:
            return distance(i - 1, j - 1)
        return 1 + min(distance(i - 1, j - 1), distance(i - 1, j), distance(i, j - 1))

    return distance(len(old), len(new))


@given(programs, programs)
def test_commands_turn_one_into_the_other(broken, fixed):
    commands = diff(broken, fixed)
    assert apply_all(broken, commands) == fixed
    assert commands[-1] == Exit()
    assert Exit() not in commands[:-1]


@given(few_lines, few_lines)
def test_no_shorter_list_of_line_commands_exists(broken, fixed):
    assert len(diff(broken, fixed)) - 1 == edit_distance(broken.split("\n"), fixed.split("\n"))


@given(programs, programs)
def test_commands_survive_being_written_to_a_file(broken, fixed):
    commands = diff(broken, fixed)
    assert [parse(print_command(command)) for command in commands] == commands


@pytest.mark.parametrize(
    ("broken", "fixed", "commands"),
    [
        ("a", "a", []),
        ("", "", []),
        ("", "a", [ReplaceLine(1, "a")]),
        ("a\nb", "", [ReplaceLine(1, ""), DeleteLine(2)]),
        ("a", "a\n", [AddLine(2, "")]),
        ("a\nb\nc", "a\nx\nc", [ReplaceLine(2, "x")]),
        ("a\nb\nc\nd", "b\nx\nd\ne", [DeleteLine(1), ReplaceLine(2, "x"), AddLine(4, "e")]),
        # Keeping the common line k would take six commands.
        ("1\n2\n3\nk", "k\n4\n5\n6", [ReplaceLine(n, c) for n, c in enumerate("k456", start=1)]),
    ],
)
def test_examples(broken, fixed, commands):
    assert diff(broken, fixed) == [*commands, Exit()]


@pytest.mark.parametrize(
    ("broken", "fixed", "old", "new"),
    [
        ("    if v <= 3:", "    if v < 3:", "<=", "<"),
        ("    total = total + v", "    s = s + v", "total", "s"),
        ("    return best_of(num1)", "    return best_of(num2)", "num1", "num2"),
        ("    return a + b", "    return a + b + 1", "b", "b + 1"),
        ("    return 100 + (v) + 100", "    return 100 + v + 100", "(v)", "v"),
        ("    x = y >>> 2 + total", "    x = y >>> 2 - total", "+", "-"),
    ],
)
def test_a_line_with_a_changed_word_is_written_as_a_word_edit(broken, fixed, old, new):
    assert diff(broken, fixed) == [ReplaceWord(1, old, new), Exit()]


def test_a_word_edit_is_taken_only_where_it_is_shorter():
    assert diff("return num1", "return num2") == [ReplaceLine(1, "return num2"), Exit()]


words = st.lists(st.sampled_from(["a", "ab", " ", "=", "==", "(", " >>>", "\\"]), max_size=12)


@given(words.map("".join), words.map("".join))
def test_a_word_edit_gives_the_line_and_is_shorter(line, target):
    if line == target:
        return
    found = word_edit(line, target)
    if found is not None:
        assert line.replace(*found) == target
        command = print_command(ReplaceWord(1, *found))
        assert len(command) < len(print_command(ReplaceLine(1, target)))


def test_names_and_operators_are_never_cut():
    old, _ = word_edit("    result = number1 // 100000", "    result = number2 // 100000")
    assert old == "number1"
    old, _ = word_edit("    while first_value != second:", "    while first_value == second:")
    assert old == "!="


def test_a_line_becomes_the_one_that_it_resembles():
    # As many commands replace line 2 and delete line 1, but they write more.
    assert diff("values = sorted(x1)\nx", "values = sorted(x2)") == [
        ReplaceWord(1, "x1", "x2"),
        DeleteLine(2),
        Exit(),
    ]
    assert diff("x\nvalues = sorted(other)", "values = sorted(x2)") == [
        DeleteLine(1),
        ReplaceWord(1, "other", "x2"),
        Exit(),
    ]


def test_a_thousand_lines_take_no_time():
    broken = "\n".join(f"old {n}" for n in range(1000))
    fixed = "\n".join(f"new {n}" for n in range(1000))
    start = time.perf_counter()
    commands = diff(broken, fixed)
    assert time.perf_counter() - start < 1.0  # 15 ms on an idle machine
    assert len(commands) == 1001

"""What each command does to a program, and when it does not fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.dsl.commands import (
    LAST_LINE,
    AddLine,
    DeleteLine,
    Exit,
    ImpossibleCommand,
    ReplaceLine,
    ReplaceWord,
)
from redline.dsl.editor import apply, apply_all

programs = st.text(alphabet="ab \n\r", max_size=20)
lines = st.text(alphabet="ab \r", max_size=5)


@pytest.mark.parametrize(
    ("program", "command", "after"),
    [
        ("a\nb", AddLine(1, "x"), "x\na\nb"),
        ("a\nb", AddLine(3, "  x"), "a\nb\n  x"),
        ("a\nb\n", AddLine(3, "x"), "a\nb\nx\n"),
        ("", AddLine(1, "x"), "x\n"),
        ("a\nb", DeleteLine(1), "b"),
        ("a\nb", DeleteLine(2), "a"),
        ("a", DeleteLine(1), ""),
        ("", DeleteLine(1), ""),
        ("a\nb", ReplaceLine(2, "c"), "a\nc"),
        ("", ReplaceLine(1, "x"), "x"),
        ("a\r\nb", ReplaceLine(1, "c"), "c\nb"),
        ("a\u2028b\x0bc\nd", ReplaceLine(2, "e"), "a\u2028b\x0bc\ne"),
        ("a = a + ba", ReplaceWord(1, "a", "x"), "x = x + bx"),
        ("  return  a", ReplaceWord(1, "return ", "yield"), "  yield a"),
        ("aaa", ReplaceWord(1, "aa", "b"), "ba"),
        ("a.b", ReplaceWord(1, ".", "\\1"), "a\\1b"),
        ("a\na", ReplaceWord(2, "a", ""), "a\n"),
        ("a\nb", Exit(), "a\nb"),
    ],
)
def test_effect(program, command, after):
    assert apply(program, command) == after


@pytest.mark.parametrize(
    ("program", "command", "reason"),
    [
        ("a\nb", AddLine(0, "x"), "error: no line 0 (the program has 2 lines)"),
        ("a\nb", AddLine(4, "x"), "error: no line 4 (the program has 2 lines)"),
        ("a", DeleteLine(2), "error: no line 2 (the program has 1 line)"),
        ("a", DeleteLine(0), "error: no line 0 (the program has 1 line)"),
        ("a", ReplaceLine(2, "x"), "error: no line 2 (the program has 1 line)"),
        ("a", ReplaceWord(2, "a", "x"), "error: no line 2 (the program has 1 line)"),
        ("a\nb", ReplaceWord(1, "b", "x"), "error: line 1 does not hold that string"),
        ("a", ReplaceWord(1, "", "x"), "error: the string to replace is empty"),
        ("", DeleteLine(LAST_LINE), "error: no line 999999999 (the program has 1 line)"),
    ],
)
def test_impossible(program, command, reason):
    assert apply(program, command) == ImpossibleCommand(reason)


@given(programs, st.data(), lines)
def test_added_lines_can_be_deleted_again(program, data, content):
    number = data.draw(st.integers(1, program.count("\n") + 2))
    longer = apply(program, AddLine(number, content))
    assert longer.split("\n")[number - 1] == content
    assert apply(longer, DeleteLine(number)) == program


@given(programs, st.data(), lines)
def test_replacing_a_line_touches_no_other(program, data, content):
    before = program.split("\n")
    number = data.draw(st.integers(1, len(before)))
    after = apply(program, ReplaceLine(number, content)).split("\n")
    assert after == [*before[: number - 1], content, *before[number:]]


def test_apply_all_stops_at_exit():
    assert apply_all("a", [ReplaceLine(1, "b"), Exit(), ReplaceLine(1, "c")]) == "b"


def test_apply_all_stops_at_a_command_that_does_not_fit():
    outcome = apply_all("a", [DeleteLine(2), ReplaceLine(1, "c")])
    assert outcome == ImpossibleCommand("error: no line 2 (the program has 1 line)")


def test_apply_all_of_nothing_changes_nothing():
    assert apply_all("a\n", []) == "a\n"

"""Parser, printer and grammar are three accounts of one language; here they must agree."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import redline.dsl.parser
from redline.dsl.commands import (
    LAST_LINE,
    AddLine,
    DeleteLine,
    Exit,
    MalformedCommand,
    ReplaceLine,
    ReplaceWord,
)
from redline.dsl.escaping import escape, unescape
from redline.dsl.parser import parse
from redline.dsl.printer import print_command

GRAMMAR = Path(redline.dsl.parser.__file__).with_name("grammar.ebnf").read_text(encoding="utf-8")

PIECES = [
    ">>>",
    " >>>",
    " \\>>>",
    " \\\\>>>",
    ">",
    " ",
    "\\",
    "\r",
    "\t",
    "a",
    "x = 1",
    "é",
    "\u2028",
]
operands = st.lists(st.sampled_from(PIECES)).map("".join) | st.text().map(
    lambda text: text.replace("\n", "")
)
numbers = st.integers(0, 12) | st.integers(0, LAST_LINE)
commands = st.one_of(
    st.builds(AddLine, numbers, operands),
    st.builds(DeleteLine, numbers),
    st.builds(ReplaceLine, numbers, operands),
    st.builds(ReplaceWord, numbers, operands, operands),
    st.just(Exit()),
)


@st.composite
def near_misses(draw):
    """Text of a command with one character inserted, removed or replaced."""
    text = print_command(draw(commands))
    at = draw(st.integers(0, len(text)))
    removed = draw(st.integers(0, 1))
    inserted = draw(st.sampled_from(["", *" >\\\n\r0١9-+aE"]))
    return text[:at] + inserted + text[at + removed :]


shuffled = st.lists(
    st.sampled_from(["ADDL", "DELL", "REPL", "REPW", "EXIT", "0", "1", "20", "-", "\n", *PIECES])
).map("".join)


def as_regex(grammar: str, rule: str) -> str:
    """Render one rule of the (non-recursive) grammar as a Python regular expression."""
    text = "\n".join(line for line in grammar.splitlines() if not line.startswith("#"))
    bodies = dict(re.findall(r"^(\w+)\s*::=(.*)$", text, flags=re.MULTILINE))

    def render(body: str) -> str:
        parts = re.findall(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|\w+|[()|*+?]|\S', body)
        return "".join(
            re.escape(part[1:-1].replace("\\n", "\n"))
            if part[0] == '"'
            else f"(?:{render(bodies[part])})"
            if part in bodies
            else part
            for part in parts
        )

    return render(bodies[rule])


COMMAND = re.compile(as_regex(GRAMMAR, "command"))


@given(st.one_of(near_misses(), shuffled, commands.map(print_command)))
def test_parser_accepts_what_the_grammar_describes(text):
    accepted = not isinstance(parse(text), MalformedCommand)
    assert accepted == bool(COMMAND.fullmatch(text))


@given(operands)
def test_the_grammar_ends_old_at_the_first_separator(text):
    old = re.compile(as_regex(GRAMMAR, "old"))
    assert bool(old.fullmatch(text)) == (" >>>" not in text)


def test_root_of_the_grammar_adds_the_newline_of_an_action():
    root = re.compile(as_regex(GRAMMAR, "root"))
    assert root.fullmatch("DELL 3\n")
    assert not root.fullmatch("DELL 3")
    assert not root.fullmatch("DELL 3\nEXIT\n")


@given(commands)
def test_parse_undoes_print(command):
    assert parse(print_command(command)) == command


@given(st.one_of(near_misses(), shuffled))
def test_each_command_has_one_spelling(text):
    command = parse(text)
    if not isinstance(command, MalformedCommand) and not re.search("[0-9]{10}", text):
        assert print_command(command) == text


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("ADDL 3 >>>    x = 1", AddLine(3, "    x = 1")),
        ("ADDL 1 >>>", AddLine(1, "")),
        ("ADDL 1 >>> >>>a >>>", AddLine(1, " >>>a >>>")),
        ("DELL 12", DeleteLine(12)),
        ("DELL 0", DeleteLine(0)),
        ("REPL 2 >>>return a\r", ReplaceLine(2, "return a\r")),
        ("REPL 2 >>>a \\>>> b", ReplaceLine(2, "a \\>>> b")),
        ("REPW 1 >>>a >>>b", ReplaceWord(1, "a", "b")),
        ("REPW 1 >>>a  >>> b ", ReplaceWord(1, "a ", " b ")),
        ("REPW 1 >>> >>>", ReplaceWord(1, "", "")),
        ("REPW 1 >>>>>> >>>x", ReplaceWord(1, ">>>", "x")),
        ("REPW 1 >>>a >>>b >>>c", ReplaceWord(1, "a", "b >>>c")),
        ("REPW 1 >>>a \\>>> b >>>c \\>>> d", ReplaceWord(1, "a >>> b", "c \\>>> d")),
        ("REPW 1 >>>\\n \\x >>>\\", ReplaceWord(1, "\\n \\x", "\\")),
        ("EXIT", Exit()),
    ],
)
def test_examples_read_as_written(text, command):
    assert parse(text) == command
    assert print_command(command) == text
    assert COMMAND.fullmatch(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "exit",
        "EXIT ",
        "EXIT\r",
        " EXIT",
        "EXIT\n",
        "### EXIT",
        "DELL",
        "DELL ",
        "DELL 3 ",
        "DELL 3\r",
        "DELL  3",
        "DELL 03",
        "DELL +3",
        "DELL -1",
        "DELL 1_0",
        "DELL ٣",
        "DELL 1٣",
        "DELL\t3",
        "DELL 3 >>>",
        "ADDL 3",
        "ADDL 3 >>",
        "ADDL 3>>>x",
        "ADDL 3  >>>x",
        "ADDL >>>x",
        "ADDL 1 >>>a\nb",
        "REPW 1 >>>a",
        "REPW 1 >>>a>>>b",
        "REPW 1 >>>a \\>>>b",
    ],
)
def test_anything_else_is_malformed(text):
    assert isinstance(parse(text), MalformedCommand)
    assert not COMMAND.fullmatch(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("DELL three", "error: malformed DELL, write: DELL n"),
        ("REPW 1 >>>a", "error: malformed REPW, write: REPW n >>>old >>>new"),
        ("EXIT\r", "error: malformed EXIT, write: EXIT"),
        ("EXIT\n", "error: a command is one line"),
        ("x = 1", "error: unknown command, write ADDL, DELL, REPL, REPW or EXIT"),
    ],
)
def test_the_reason_says_how_to_write_it(text, reason):
    assert parse(text) == MalformedCommand(reason)


@given(shuffled)
def test_reasons_are_one_line(text):
    command = parse(text)
    if isinstance(command, MalformedCommand):
        assert command.reason.startswith("error: ")
        assert len(command.reason.splitlines()) == 1


@pytest.mark.parametrize("digits", ["9" * 10, "1" + "0" * 18, "9" * 5000])
def test_huge_line_numbers_read_as_the_last_line(digits):
    assert parse(f"DELL {digits}") == DeleteLine(LAST_LINE)


@given(operands)
def test_escape_hides_the_separator_and_can_be_undone(word):
    assert " >>>" not in escape(word)
    assert unescape(escape(word)) == word


@given(operands)
def test_escape_changes_nothing_without_need(word):
    if not re.search(r" \\*>>>", word):
        assert escape(word) == word


@pytest.mark.parametrize(
    "construct",
    [
        lambda: AddLine(-1, ""),
        lambda: DeleteLine(LAST_LINE + 1),
        lambda: ReplaceLine(1, "a\nb"),
        lambda: ReplaceWord(1, "\n", ""),
        lambda: ReplaceWord(1, "", "\n"),
    ],
)
def test_a_command_that_cannot_be_written_cannot_be_constructed(construct):
    with pytest.raises(ValueError, match="got"):
        construct()

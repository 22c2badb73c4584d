"""The beginning of a command becomes a whole one, and nothing that was written changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.dsl.closing import closing_of
from redline.dsl.commands import MalformedCommand
from redline.dsl.decoding import action_grammar
from redline.dsl.parser import parse

CONTENT = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12)
NUMBER = st.integers(0, 10**12).map(str)
COMMANDS = st.one_of(
    st.just("EXIT"),
    st.builds("DELL {}".format, NUMBER),
    st.builds("{} {} >>>{}".format, st.sampled_from(["ADDL", "REPL"]), NUMBER, CONTENT),
    st.builds("REPW {} >>>{} >>>{}".format, NUMBER, CONTENT, CONTENT),
)


@given(COMMANDS, st.data())
def test_every_beginning_of_a_command_is_closed(command, data):
    half = command[: data.draw(st.integers(0, len(command)))]
    assert not isinstance(parse(half + closing_of(half)), MalformedCommand)
    assert closing_of(command) == ""


@pytest.mark.parametrize(
    ("half", "closing"),
    [
        ("REPL 3 >>>    retu", ""),
        ("DELL 1", ""),
        ("ADDL 12", " >>>"),
        ("ADDL 12 >", ">>"),
        ("REPW 1 >>>a >", ">>"),
        ("REPW 1 >>>a", " >>>"),
        ("REPW 1", " >>> >>>"),
        ("EX", "IT"),
    ],
)
def test_the_closing_is_the_shortest(half, closing):
    assert closing_of(half) == closing


def test_what_begins_no_command_is_refused():
    with pytest.raises(ValueError, match="'print"):
        closing_of("print(1)")


def test_the_action_ends_with_or_without_a_newline():
    assert 'command "\\n"?' in action_grammar()

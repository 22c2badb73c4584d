"""The written grammar as constrained decoding takes it."""

from pathlib import Path

import pytest

import redline.dsl.parser
from redline.dsl.commands import MalformedCommand
from redline.dsl.parser import parse

xgrammar = pytest.importorskip("xgrammar")

GRAMMAR = Path(redline.dsl.parser.__file__).with_name("grammar.ebnf").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    [
        "ADDL 3 >>>    x = 'é' >>>",
        "ADDL 3>>>x",
        "DELL 0",
        "DELL 12",
        "DELL 012",
        "DELL 1٣",
        "DELL 3\r",
        "REPL 2 >>>",
        "REPL 2 >>>\t\r",
        "REPW 1 >>> >>>",
        "REPW 1 >>>a >> >>>b >>>c",
        "REPW 1 >>>a \\>>> b",
        "REPW 1 >>>a",
        "EXIT",
        "EXIT ",
        "exit",
    ],
)
def test_xgrammar_allows_what_the_parser_accepts(text):
    from xgrammar.testing import _is_grammar_accept_string

    grammar = xgrammar.Grammar.from_ebnf(GRAMMAR)
    accepted = not isinstance(parse(text), MalformedCommand)
    assert _is_grammar_accept_string(grammar, text + "\n") == accepted
    assert not _is_grammar_accept_string(grammar, text)

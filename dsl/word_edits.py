"""Exchanges one word of a line for another of its kind, so that `REPW` undoes it exactly."""

import re
from dataclasses import dataclass
from functools import lru_cache
from keyword import iskeyword
from random import Random

_TOKEN = re.compile(
    r"(?P<string>'[^'\n]*'|\"[^\"\n]*\")"
    r"|(?P<number>\d+)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<operator>//=|[-+*/%<>=!]=|//|[-+*/%<>=])"
)
_OPERATOR_KINDS = {
    **dict.fromkeys(("=", "+=", "-=", "*=", "//=", "/=", "%="), "assignment"),
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), "comparison"),
    **dict.fromkeys(("+", "-", "*", "/", "//", "%"), "arithmetic"),
}
_MAX_ATTEMPTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One word of a program and where it stands in its text."""

    kind: str
    """`string`, `number`, `name`, `keyword`, `assignment`, `comparison` or `arithmetic`."""
    text: str
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WordExchange:
    """A line after one of its words was exchanged."""

    line: str
    old: str
    new: str


def exchange_word(line: str, rng: Random, *, program: str, donor: str) -> WordExchange | None:
    """Exchange one occurrence of a word for another word of `program` or of `donor`.

    The new word is such that replacing every occurrence of it, as `REPW` does, gives the line
    back. None if the line has no word that can be exchanged so.
    """
    tokens = tokenize(line)
    if not tokens:
        return None
    for _ in range(_MAX_ATTEMPTS):
        token = rng.choice(tokens)
        others = _words(program if rng.random() < 0.5 else donor, token.kind)
        if not others:
            continue
        new = rng.choice(others)
        changed = line[: token.start] + new + line[token.start + len(token.text) :]
        if changed != line and changed.replace(new, token.text) == line:
            return WordExchange(line=changed, old=token.text, new=new)
    return None


@lru_cache(maxsize=4096)
def tokenize(text: str) -> tuple[Token, ...]:
    """Words of a text in order; brackets, commas, colons and unknown characters are left out."""
    return tuple(
        Token(kind=_kind(match.lastgroup or "", match[0]), text=match[0], start=match.start())
        for match in _TOKEN.finditer(text)
    )


def _kind(group: str, text: str) -> str:
    """The kind of a token: like the group of the pattern, but finer."""
    if group == "operator":
        return _OPERATOR_KINDS[text]
    if group == "name" and iskeyword(text):
        return "keyword"
    return group


@lru_cache(maxsize=4096)
def _words(text: str, kind: str) -> tuple[str, ...]:
    """Distinct words of one kind in a text, in order of appearance."""
    return tuple(dict.fromkeys(t.text for t in tokenize(text) if t.kind == kind))

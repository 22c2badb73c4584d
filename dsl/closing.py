"""How an editor that gets half a command makes a whole one of it."""

from redline.dsl.commands import MalformedCommand
from redline.dsl.parser import parse

_SHORTEST = ("EXIT", "DELL 0", "ADDL 0 >>>", "REPL 0 >>>", "REPW 0 >>> >>>")
"""The shortest command of each kind: what a half one lacks at its end is an end of one of these."""

_ENDS = sorted({text[at:] for text in _SHORTEST for at in range(len(text) + 1)}, key=len)


def closing_of(text: str) -> str:
    """The shortest text that makes a well-formed command of the beginning of one.

    Empty for a command that is whole; a content that was cut stays as it is. Raises ValueError for
    a text that no command begins with.
    """
    for end in _ENDS:
        if not isinstance(parse(text + end), MalformedCommand):
            return end
    raise ValueError(f"no command begins with {text!r}")

"""Makes published programs uniform without changing what they mean.

Line ends become `\\n` (as Python reads them: CRLF, and CR by itself), and newlines at the end go.
Blanks at the ends of lines go and tabs in front become spaces, the way an editor would show them;
that could change a string or the depth of a block, so it is done only where the syntax tree stays
the same. A program that does not parse keeps its blanks and tabs.
"""

import ast
import warnings

_TAB = 4


def tidy_program(program: str) -> str:
    """The same program with uniform line ends, indentation and ends of lines."""
    plain = tidy_line_ends(program)
    lines = (line.rstrip() for line in plain.split("\n"))
    neat = "\n".join(_without_tabs(line) for line in lines).rstrip("\n")
    return neat if neat == plain or _same_meaning(neat, plain) else plain


def tidy_line_ends(text: str) -> str:
    """The same text with `\\n` at the end of each line but the last."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _without_tabs(line: str) -> str:
    body = line.lstrip(" \t")
    return line[: len(line) - len(body)].expandtabs(_TAB) + body


def _same_meaning(first: str, second: str) -> bool:
    """Whether two programs have the same syntax tree; positions are not part of it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.dump(ast.parse(first)) == ast.dump(ast.parse(second))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False

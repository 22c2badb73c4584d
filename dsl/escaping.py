"""The one escape of the language: how ` >>>` is written inside the `old` operand of REPW.

`old` ends at the first ` >>>` (a space and three brackets), so `old` itself must not show one.
Writing puts one backslash between the space and the brackets; a backslash already there gets
a second one, and so on. Reading takes one away:

    x = 1          x = 1            nothing to escape, as nearly always
    a >>> b        a \\>>> b
    a \\>>> b       a \\\\>>> b
    re.sub("\\n")   re.sub("\\n")     other backslashes mean themselves

So the map is one-to-one between all strings and the strings without ` >>>`, and a policy never
meets it unless it replaces a shift by three. `new` and the contents of ADDL and REPL run to the
end of the line and need no escape.
"""

import re

_TO_ESCAPE = re.compile(r" (\\*)>>>")
_TO_UNESCAPE = re.compile(r" \\(\\*)>>>")


def escape(word: str) -> str:
    """Write `word` so that it holds no ` >>>`."""
    return _TO_ESCAPE.sub(r" \\\1>>>", word)


def unescape(text: str) -> str:
    """Read what `escape` wrote."""
    return _TO_UNESCAPE.sub(r" \1>>>", text)

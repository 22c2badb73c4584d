"""A program before and after a command as one coloured block: numbered, highlighted, inline.

Changed lines carry `-` and `+` signs, so that the view reads the same without colours.
"""

from rich.style import Style
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from redline.replay.diff_lines import DiffLine, diff_lines
from redline.replay.visible import visible

_THEME = "github-dark"
_PLAIN = Style(bgcolor="#21252b")
_REMOVED = Style(bgcolor="#43262d")
_ADDED = Style(bgcolor="#20402f")
_REMOVED_WORD = Style(bgcolor="#7d3440")
_ADDED_WORD = Style(bgcolor="#2c6e49")
_BACKGROUNDS = {"-": _REMOVED, "+": _ADDED, " ": _PLAIN}
_CODE = Style(color="#e6edf3")
_NUMBER = Style(color="#7f8794")
_SIGNS = {
    "-": Style(color="#ff7b86", bold=True),
    "+": Style(color="#7ee2a0", bold=True),
    " ": Style(),
}


def render_program(program: str) -> Table:
    """A program with line numbers."""
    return render_diff(program, program)


def render_diff(before: str, after: str) -> Table:
    """`after` with what was removed from `before` shown above what took its place."""
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=1)
    grid.add_column(justify="right", width=3)
    grid.add_column(ratio=1, overflow="fold")
    for line in diff_lines(visible(before), visible(after)):
        grid.add_row(
            Text(line.sign, _SIGNS[line.sign]),
            Text(str(line.number), _NUMBER),
            _highlight(line),
            style=_BACKGROUNDS[line.sign],
        )
    return grid


def _highlight(line: DiffLine) -> Text:
    text = Syntax("", "python", theme=_THEME).highlight(line.text)[:-1]  # it ends in a newline
    if text.plain != line.text:
        text = Text(line.text)  # tabs were expanded, which would shift the spans
    text.style = _CODE + _BACKGROUNDS[line.sign]
    text.stylize(_BACKGROUNDS[line.sign])
    word = _REMOVED_WORD if line.sign == "-" else _ADDED_WORD
    for start, stop in line.changed:
        text.stylize(word, start, stop)
    return text

"""What `redline replay sql` prints, as a Rich table."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from redline.replay.sql import Answer
from redline.replay.visible import safe_text


def render_answer(answer: Answer) -> RenderableType:
    """All rows, numbers to the right, and how many there are."""
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
    for index, column in enumerate(answer.columns):
        numbers = all(isinstance(row[index], int | float) for row in answer.rows)
        justify = "right" if numbers and answer.rows else "left"
        table.add_column(safe_text(column), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in answer.rows:
        table.add_row(*(_cell(value) for value in row))
    return Group(table, Text(f"{len(answer.rows):,} rows", "dim"))


def _cell(value: object) -> Text:
    if value is None:
        return Text("null", "dim")
    return safe_text(f"{value:.6g}" if isinstance(value, float) else str(value))

"""From command to text, the inverse of `parser.py`: `parse(print_command(c)) == c`."""

from redline.dsl.commands import AddLine, Command, DeleteLine, Exit, ReplaceLine, ReplaceWord
from redline.dsl.escaping import escape


def print_command(command: Command) -> str:
    """Write `command` in its only spelling, without a newline at the end."""
    match command:
        case AddLine(line, content):
            return f"ADDL {line} >>>{content}"
        case DeleteLine(line):
            return f"DELL {line}"
        case ReplaceLine(line, content):
            return f"REPL {line} >>>{content}"
        case ReplaceWord(line, old, new):
            return f"REPW {line} >>>{escape(old)} >>>{new}"
        case Exit():
            return "EXIT"

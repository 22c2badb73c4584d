"""The editor: what a command does to a program.

A program is text and its lines are `program.split("\\n")`, so even the empty program has one
(empty) line, and text that ends in a newline has an empty last line that can be edited.
Functions are pure; a command that does not fit is answered by a record, not an exception.
"""

from collections.abc import Iterable

from redline.dsl.commands import (
    AddLine,
    Command,
    DeleteLine,
    Exit,
    ImpossibleCommand,
    ReplaceLine,
    ReplaceWord,
)


def apply(program: str, command: Command) -> str | ImpossibleCommand:
    """Return the program after `command`, or why the command does not fit it.

    ADDL takes 1 to one past the last line, the others 1 to the last. Deleting the only line
    leaves the empty program.
    """
    if isinstance(command, Exit):
        return program
    lines = program.split("\n")
    past_end = 1 if isinstance(command, AddLine) else 0
    if not 1 <= command.line <= len(lines) + past_end:
        return _no_line(command.line, len(lines))
    index = command.line - 1
    match command:
        case AddLine(_, content):
            lines.insert(index, content)
        case DeleteLine():
            del lines[index]
        case ReplaceLine(_, content):
            lines[index] = content
        case ReplaceWord(line, old, new):
            if not old:
                return ImpossibleCommand("error: the string to replace is empty")
            if old not in lines[index]:
                return ImpossibleCommand(f"error: line {line} does not hold that string")
            lines[index] = lines[index].replace(old, new)
    return "\n".join(lines)


def apply_all(program: str, commands: Iterable[Command]) -> str | ImpossibleCommand:
    """Apply `commands` in order, up to the first EXIT or the first that does not fit."""
    for command in commands:
        if isinstance(command, Exit):
            break
        outcome = apply(program, command)
        if isinstance(outcome, ImpossibleCommand):
            return outcome
        program = outcome
    return program


def _no_line(line: int, count: int) -> ImpossibleCommand:
    """Name the line that was asked for and how many there are."""
    plural = "" if count == 1 else "s"
    return ImpossibleCommand(f"error: no line {line} (the program has {count} line{plural})")

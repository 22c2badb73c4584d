"""`redline dsl`: from two files to commands, and from commands to a file."""

from pathlib import Path
from typing import Annotated

import typer

from redline.cluster.errors import UserError
from redline.cluster.output import emit_json, emit_text, read_text

app = typer.Typer(help="Work with the editor language.", no_args_is_help=True)


@app.command("diff")
def diff(
    broken: Annotated[Path, typer.Argument(help="Program to start from.")],
    fixed: Annotated[Path, typer.Argument(help="Program to arrive at.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Print the commands that turn BROKEN into FIXED, one a line, ending in EXIT."""
    from redline.dsl.diff import diff as find_commands
    from redline.dsl.printer import print_command

    found = find_commands(read_text(broken, "program"), read_text(fixed, "program"))
    lines = [print_command(command) for command in found]
    if json:
        emit_json({"commands": lines})
    else:
        emit_text("".join(f"{line}\n" for line in lines))


@app.command("apply")
def apply(
    program: Annotated[Path, typer.Argument(help="Program to edit.")],
    commands: Annotated[Path, typer.Argument(help="File with one command a line.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Print PROGRAM as it is after the commands of a file, up to the first EXIT."""
    edited = apply_lines(read_text(program, "program"), read_text(commands, "commands"), commands)
    if json:
        emit_json({"program": edited})
    else:
        emit_text(edited)


def apply_lines(program: str, commands: str, origin: Path) -> str:
    """The program after the commands; UserError names the first line that does not fit."""
    from redline.dsl.commands import Exit, ImpossibleCommand, MalformedCommand
    from redline.dsl.editor import apply as apply_command
    from redline.dsl.parser import parse

    for number, line in enumerate(commands.split("\n"), start=1):
        if not line:
            continue
        command = parse(line)
        if isinstance(command, MalformedCommand):
            raise UserError(f"{origin}:{number}: {command.reason.removeprefix('error: ')}")
        if isinstance(command, Exit):
            break
        outcome = apply_command(program, command)
        if isinstance(outcome, ImpossibleCommand):
            raise UserError(f"{origin}:{number}: {outcome.reason.removeprefix('error: ')}")
        program = outcome
    return program

"""A user's Python file: read for the editor, and replaced without harm to anything but its text.

The editor sees lines that end in `\\n` and no empty line at the end, as in the tasks that policies
are trained on. What the file has instead (CRLF, a byte order mark, newlines at its end) is put back
when it is written.
"""

import ast
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from redline.cluster.errors import UserError
from redline.cluster.files import sync_folder
from redline.cluster.output import read_text

_BOM = "\ufeff"
_DOCSTRING = re.compile(r'"""(.*?)"""|\'\'\'(.*?)\'\'\'', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A program and how its file writes it."""

    path: Path
    program: str
    """As the editor sees it."""
    newline: str
    head: str
    tail: str

    @staticmethod
    def read(path: Path) -> "SourceFile":
        """Read a file; UserError when it is missing or not UTF-8 text."""
        text = read_text(path, "program")
        head = _BOM if text.startswith(_BOM) else ""
        body = text.removeprefix(head)
        newline = "\r\n" if "\r\n" in body and "\n" not in body.replace("\r\n", "") else "\n"
        body = body.replace(newline, "\n")
        program = body.rstrip("\n")
        return SourceFile(
            path=path, program=program, newline=newline, head=head, tail=body[len(program) :]
        )

    def text_of(self, program: str) -> str:
        """The whole text of the file with another program in it."""
        return self.head + (program + self.tail).replace("\n", self.newline)

    def replace(self, program: str) -> Path:
        """Put another program into the file, atomically; returns the backup of the old one.

        Permission bits stay, a symbolic link keeps pointing where it points, and no older backup
        is overwritten. UserError when the folder cannot be written to.
        """
        target = self.path.resolve()
        temporary = None
        try:
            backup = _copy_aside(target)
            descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(self.text_of(program))
                file.flush()
                os.fsync(file.fileno())
            shutil.copymode(target, temporary)
            Path(temporary).replace(target)
            sync_folder(target.parent)
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            raise UserError(f"cannot write {self.path}: {error.strerror}") from error
        return backup


def prompt_of(program: str) -> str:
    """What a program says that it does: its docstring, or its first function's; may be empty.

    Broken programs need not parse: then the first text in triple quotes counts.
    """
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = _DOCSTRING.search(program)
        text = (found[1] or found[2] or "") if found else ""
    else:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        nodes = [tree, *(node for node in tree.body if isinstance(node, kinds))]
        text = next((doc for node in nodes if (doc := ast.get_docstring(node))), "")
    return " ".join(text.split("\n\n")[0].split())


def _copy_aside(target: Path) -> Path:
    """Copy a file to the first free name `<name>.orig`, `<name>.orig.1`, ..."""
    names = [f"{target.name}.orig", *(f"{target.name}.orig.{n}" for n in range(1, 1000))]
    for name in names:
        backup = target.with_name(name)
        try:
            with backup.open("xb") as copy:
                copy.write(target.read_bytes())
        except FileExistsError:
            continue
        shutil.copymode(target, backup)
        return backup
    raise UserError(f"{target.parent} holds 1000 backups of {target.name}: remove some")

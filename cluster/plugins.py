"""Modules of the user's that register parts: tools, task sources, estimators, losses, backends."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from redline.cluster.errors import UserError, one_line


def import_plugins(names: Sequence[str]) -> None:
    """Import modules by name, from the working folder too; UserError naming one that fails."""
    if names and (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            raise UserError(
                f"plugins: {name!r} cannot be imported ({type(error).__name__}: "
                f"{one_line(error)}); it has to be a module in this folder or an installed one"
            ) from error

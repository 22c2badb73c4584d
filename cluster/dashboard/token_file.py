"""The token that opens the dashboard to other machines: read from a file or the environment.

It is never an argument, so that no list of processes and no shell history holds it.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from redline.cluster.errors import UserError
from redline.cluster.output import say

VARIABLE = "REDLINE_DASHBOARD_TOKEN"
LEAST = 16
"""Characters of a token."""


def find_token(file: Path | None, environment: Mapping[str, str]) -> str | None:
    """The token of the file, else of the environment, else None.

    A file that does not exist is made, readable by its owner alone, with a new token. Raises
    UserError for a file that others can read and for a token that is too short.
    """
    if file is None:
        token = environment.get(VARIABLE)
        return None if token is None else _checked(token, VARIABLE)
    try:
        if not file.exists():
            _make(file)
            say(f"new token written to {file}")
        if file.stat().st_mode & 0o077:
            raise UserError(f"token file {file} can be read by others: chmod 600 {file}")
        return _checked(file.read_text(encoding="utf-8"), f"token file {file}")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise UserError(f"token file {file} cannot be used: {reason}") from error


def _make(file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_urlsafe(32) + "\n")


def _checked(token: str, origin: str) -> str:
    token = token.strip()
    if len(token) < LEAST:
        raise UserError(f"{origin} has {len(token)} characters, expected at least {LEAST}")
    return token

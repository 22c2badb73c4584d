"""What commands write: results to stdout, everything else to stderr."""

import json
import sys
from pathlib import Path
from typing import Any

from redline.cluster.errors import UserError


def emit_json(record: Any) -> None:
    """Write one JSON object on one line of stdout."""
    print(json.dumps(record, allow_nan=False), flush=True)


def emit_text(text: str) -> None:
    """Write text to stdout to the last byte: no newline is added or translated."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()


def say(message: str) -> None:
    """Write one line of progress or advice to stderr."""
    print(message, file=sys.stderr, flush=True)


def read_text(path: Path, what: str) -> str:
    """The text of a user's file, its newlines as they are; UserError when it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise UserError(f"no {what} at {path}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{what} {path} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise UserError(f"{what} {path} cannot be read: {error.strerror}") from error

"""Demonstrations as rows of an Arrow table, and back as text or tokens."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from redline.cluster.demos.made import MadeDemonstration
from redline.dsl.demonstrations import RenderedTurn
from redline.dsl.printer import print_command

_TURN = pa.struct([("state", pa.string()), ("action", pa.string())])
SCHEMA = pa.schema(
    [
        pa.field("task_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("broken", pa.string(), nullable=False),
        pa.field("reference", pa.string()),
        pa.field("commands", pa.list_(pa.string()), nullable=False),
        pa.field("kinds", pa.list_(pa.string()), nullable=False),
        pa.field("statuses", pa.list_(pa.string()), nullable=False),
        pa.field("edit_distance", pa.int32(), nullable=False),
        pa.field("turns", pa.list_(_TURN), nullable=False),
        # Null without a tokenizer; one entry per token, the mask true on tokens of commands.
        pa.field("token_ids", pa.list_(pa.int32())),
        pa.field("is_action", pa.list_(pa.bool_())),
    ]
)


def batch_of(made: Sequence[MadeDemonstration]) -> pa.RecordBatch:
    """One record batch with a row for each demonstration."""
    return pa.RecordBatch.from_pylist([_row(each) for each in made], schema=SCHEMA)


def json_line(row: dict[str, Any]) -> str:
    """A row as a line of the JSONL form: `task_id`, `split` and `turns`."""
    return json.dumps({name: row[name] for name in ("task_id", "split", "turns")})


def turns_of(row: dict[str, Any]) -> list[RenderedTurn]:
    """The turns of a row of either form."""
    return [RenderedTurn(state=turn["state"], action=turn["action"]) for turn in row["turns"]]


def _row(made: MadeDemonstration) -> dict[str, Any]:
    task = made.demonstration.task
    encoded = made.encoded
    return {
        "task_id": task.task_id,
        "split": task.split,
        "source": task.source,
        "broken": task.broken,
        "reference": task.reference,
        "commands": [print_command(command) for command in made.demonstration.commands],
        "kinds": [kind.value for kind in made.kinds],
        "statuses": list(made.statuses),
        "edit_distance": made.edit_distance,
        "turns": [{"state": turn.state, "action": turn.action} for turn in made.turns],
        "token_ids": None if encoded is None else encoded.token_ids,
        "is_action": None if encoded is None else encoded.is_action,
    }

"""Which configuration a resumed run has: the one it was started with, and what may change."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError
from redline.cluster.load import load_config

_FROZEN = (
    "seed", "model", "max_staleness", "tasks.", "prompt.", "rollout.group_size",
    "learner.groups_per_step", "learner.dtype", "learner.lora.",
    "learner.deepspeed.", "learner.critic.kind", "replay.root",
)  # fmt: skip
"""Keys whose change would make stored groups or checkpoints mean something else."""

_RANKS = "learner.ranks"
"""Frozen too where ZeRO divides the optimizer's state among the ranks."""


def resumed_config(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """The saved configuration of the run that `config` names, with the overrides applied.

    Raises UserError when there is no such run or an override changes what must stay.
    """
    saved = Path(config.run_root) / config.name / "config.yaml"
    if not saved.is_file():
        raise UserError(
            f"no run to resume at {saved.parent}; leave --resume out to start it, or name the "
            "run with name=NAME"
        )
    before = load_config(str(saved))
    after = load_config(str(saved), overrides)
    for key, old, new in _changes(before, after):
        if key.startswith(_FROZEN) or (key == _RANKS and after.learner.deepspeed.zero_stage > 0):
            raise UserError(
                f"{key} was {old!r} when run {config.name!r} was started and cannot become "
                f"{new!r} on --resume; start a new run with name=NAME"
            )
    return after


def _changes(before: Any, after: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for item in fields(before):
        old, new = getattr(before, item.name), getattr(after, item.name)
        if is_dataclass(old):
            found += _changes(old, new, f"{prefix}{item.name}.")
        elif old != new:
            found.append((prefix + item.name, old, new))
    return found

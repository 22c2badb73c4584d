"""Repair tasks: the record that every part of redline works on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairTask:
    """A broken program, what it should do, and the tests that tell."""

    task_id: str
    prompt: str
    """What the program should do, in words."""
    broken: str
    tests: tuple[str, ...]
    """Independent Python snippets, each run after setup and program; usually one `assert`."""
    setup: str = ""
    """Code run before the program; may be empty."""
    reference: str | None = None
    entry_point: str | None = None
    split: str = "train"
    """`train`, `heldout` or `heldout_family` for built-in tasks; as published for others."""
    source: str = ""
    """Where the task comes from; for built-in tasks `builtin/<family>`."""

    @property
    def family(self) -> str:
        """The part of `source` after the slash, or the whole of it."""
        return self.source.rpartition("/")[2]

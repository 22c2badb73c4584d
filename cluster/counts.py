"""Counts of work in pieces: added up, and kept as JSON beside each piece."""

from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Counts:
    """Base of dataclasses whose fields are integers and Counters."""

    __slots__ = ()

    def add(self: "DataclassInstance", other: "DataclassInstance") -> None:
        """Add the counts of another piece."""
        for item in fields(self):
            value = getattr(other, item.name)
            if isinstance(value, Counter):
                getattr(self, item.name).update(value)
            else:
                setattr(self, item.name, getattr(self, item.name) + value)

    def to_json(self: "DataclassInstance") -> dict[str, Any]:
        """The counts as JSON values."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {k: dict(sorted(v.items())) if isinstance(v, Counter) else v
                for k, v in values.items()}  # fmt: skip

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Counts that `to_json` wrote."""
        counts = cls()
        for name, value in values.items():
            setattr(counts, name, Counter(value) if isinstance(value, dict) else value)
        return counts


def shares(counter: Counter[str]) -> str:
    """Names with their shares of the total, by name: `add 25%, delete 25%`."""
    total = max(counter.total(), 1)
    return ", ".join(f"{name} {n / total:.0%}" for name, n in sorted(counter.items()))

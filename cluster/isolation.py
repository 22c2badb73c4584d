"""The isolation of a run's sandboxes: what is recorded of it, and how its absence is told."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from redline.actors.records import SandboxStart
from redline.cluster.errors import UserError, WorkFailed, one_line
from redline.cluster.files import write_atomically
from redline.sandbox.records import InfrastructureError, IsolationRefused
from redline.sandbox.tiers import weakest_tier


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIsolation:
    """Under what the programs of a run are executed."""

    tier: str
    """The weakest of all sandboxes: the one that counts."""
    sandboxes: tuple[SandboxStart, ...]

    @staticmethod
    def of(started: Sequence[SandboxStart]) -> "RunIsolation":
        """What these sandboxes give together."""
        return RunIsolation(
            tier=weakest_tier(start.tier for start in started), sandboxes=tuple(started)
        )

    def summary(self) -> str:
        """One line; it names every sandbox where they differ."""
        if len({start.tier for start in self.sandboxes}) <= 1:
            return f"sandbox isolation: {self.tier}"
        each = ", ".join(f"{s.worker} on {s.node}: {s.tier}" for s in self.sandboxes)
        return f"sandbox isolation differs between nodes ({each}): {self.tier} is what counts"

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        write_atomically(path, json.dumps(asdict(self), indent=1) + "\n")


def sandbox_problem(error: InfrastructureError) -> UserError | WorkFailed:
    """How a command ends when its sandbox has no verdict: a refusal is for the user to resolve."""
    kind = UserError if isinstance(error, IsolationRefused) else WorkFailed
    return kind(f"sandbox: {one_line(error)}")

"""What the controller needs from the rest of the system, as small protocols.

In a run Ray handles stand behind them (`handles.py`, `learner_handle.py`), in tests plain objects.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from redline.cluster.loop.records import StepReport
from redline.cluster.published import PublishedWeights
from redline.dsl.tasks import RepairTask
from redline.replay.cursor import Cursor
from redline.replay.records import (
    DropReason,
    PartialGroup,
    StepResult,
    TrajectoryGroup,
    WeightReceipt,
)


class Lease(Protocol):
    """Groups on loan from the store."""

    @property
    def lease_id(self) -> str:
        """What commit and release name the loan by."""

    @property
    def groups(self) -> Sequence[TrajectoryGroup]:
        """The groups, oldest weights first."""


class Samplers(Protocol):
    """All rollout workers together."""

    async def roll_out(
        self, task: RepairTask, group_id: str, begun: PartialGroup | None = None
    ) -> None:
        """Run a group's episodes and store the group; raises WorkFailed when nobody can.

        Episodes of `begun` go on from where they are.
        """

    async def in_flight(self) -> list[PartialGroup]:
        """Every group that is being sampled, as far as it is."""

    async def push(self, published: PublishedWeights) -> list[WeightReceipt]:
        """Let every worker pull weights; each receipt proves that one serves them."""


class Store(Protocol):
    """The durable trajectory store."""

    async def lease(
        self, count: int, min_version: int, in_flight: Sequence[int], *, extended: bool = False
    ) -> Lease | None:
        """Take `count` groups without tokens older than `min_version`, or None.

        `in_flight` has the versions at which groups still to come were started. With `extended`, a
        rewound batch comes as it was, with more groups if it was topped up.
        """

    async def extend(
        self, lease_id: str, count: int, min_version: int, in_flight: Sequence[int]
    ) -> Lease | None:
        """The whole lease with `count` groups more, to be committed together, or None."""

    async def commit(self, lease_id: str) -> None:
        """Record, durably, that the lease's groups were trained on."""

    async def cursor(self) -> Cursor:
        """The position that a checkpoint names and a resumed run rewinds to."""

    async def save_in_flight(self, groups: Sequence[PartialGroup]) -> None:
        """Keep the turns so far of groups that are being sampled, instead of the last save."""

    async def waiting_versions(self) -> Sequence[int]:
        """Oldest weight version of every stored group that no step was trained on."""

    async def discard(self, group: TrajectoryGroup, reason: DropReason) -> bool:
        """Store a group that nobody will train on, and count it."""

    async def forget_before(self, oldest: Cursor | None) -> None:
        """Delete old groups that no checkpoint from `oldest` on can ask for again."""


class Learner(Protocol):
    """The training side."""

    async def train_step(self, groups: Sequence[TrajectoryGroup]) -> StepResult:
        """One optimizer step."""

    async def weight_update(self) -> PublishedWeights:
        """The weights as they are now, for samplers to pull."""

    async def save_checkpoint(self, folder: Path) -> None:
        """Write everything that training goes on from."""


class Observer(Protocol):
    """Whoever watches the run."""

    def on_step(self, report: StepReport) -> None:
        """A step was trained, committed and pushed."""

    def on_checkpoint(self, step: int, seconds: float) -> None:
        """A checkpoint was written."""

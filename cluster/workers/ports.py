"""What supervision needs from a worker, as small protocols.

In a run Ray actors stand behind them (`ray_workers.py`), in tests plain objects.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from redline.actors.records import SandboxHealth
from redline.actors.settings import AnswerSettings, SamplingSettings
from redline.cluster.published import PublishedWeights
from redline.dsl.tasks import RepairTask
from redline.replay.records import PartialGroup, TrajectoryGroup, WeightReceipt


class WorkerLost(Exception):
    """A worker cannot go on and must be replaced; what it had is given to another one."""


class WeightsUnproven(WorkerLost):
    """A worker's weights are not those that it was sent."""


class ResultLost(Exception):
    """What a sound worker made did not arrive: it has to be made again."""


class Worker(Protocol):
    """A process of its own somewhere in the cluster."""

    async def start(self) -> Any:
        """Come up; returns what it tells of itself. Raises WorkFailed or UserError."""

    async def heartbeat(self) -> Any:
        """Tell how it is, after asking the processes behind it; raises WorkerLost or WorkFailed."""

    async def end(self, seconds: float) -> None:
        """Let it end what it started for so long, then end it by force."""


class SandboxWorker(Protocol):
    """A worker that executes programs."""

    handle: Any
    """What samplers send programs to."""

    async def start(self) -> Any:
        """Come up; returns its `SandboxStart`. Raises WorkFailed or UserError."""

    async def heartbeat(self) -> SandboxHealth:
        """Tell how it is; raises WorkerLost or WorkFailed."""

    async def end(self, seconds: float) -> None:
        """Let it end what it started for so long, then end it by force."""


class SamplerWorker(Worker, Protocol):
    """A worker that runs episodes."""

    handle: Any
    """The actor behind it, or None."""

    async def roll_out(self, task: RepairTask, group_id: str, begun: PartialGroup | None) -> None:
        """Sample a group and store it; raises WorkerLost, ResultLost or WorkFailed.

        Episodes of `begun` go on from where they are.
        """

    async def in_flight(self) -> Sequence[PartialGroup]:
        """Every group that is being sampled, as far as it is; raises WorkFailed when lost."""

    async def sample_group(
        self,
        task: RepairTask,
        *,
        group_id: str,
        group_size: int | None,
        sampling: SamplingSettings | None,
        max_turns: int | None,
        answering: AnswerSettings | None,
    ) -> TrajectoryGroup:
        """Sample a group without storing it; raises as `roll_out` does."""

    async def update_weights(self, published: PublishedWeights) -> WeightReceipt:
        """Pull, load and prove weights.

        Raises WorkerLost, and WeightsUnproven when it holds something else now.
        """

    async def use_sandboxes(self, sandboxes: Mapping[str, Any]) -> None:
        """Send programs to these from now on; raises WorkFailed when lost."""

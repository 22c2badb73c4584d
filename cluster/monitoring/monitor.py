"""Keeps board, status file and exporter up to date while a run lasts.

The status file is written by a thread, so that it goes on in phases that block the event loop.
"""

import asyncio
import os
import platform
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from redline.cluster.config import RunConfig
from redline.cluster.display.progress import Phase
from redline.cluster.errors import one_line
from redline.cluster.loop.records import StepReport
from redline.cluster.monitoring.board import Board
from redline.cluster.monitoring.definitions import Kind, Role, all_metrics
from redline.cluster.monitoring.numbers import Numbers
from redline.cluster.monitoring.polling import FleetPoll, Handles
from redline.cluster.output import say
from redline.cluster.run_directory import RunDirectory
from redline.cluster.sampler_kinds import sampler_kinds
from redline.cluster.status_file import (
    RunState,
    RunStatus,
    WorkerState,
    WorkerStatus,
    write_status,
)

if TYPE_CHECKING:
    from redline.cluster.monitoring.ray_export import RayExporter

_SECONDS_BETWEEN_WRITES = 1.0


Restarts = Callable[[], Mapping[Role, int]]
"""Workers of each role that were replaced in this attempt."""


class Monitor:
    """Used as a context manager around everything that a run does in its folder."""

    def __init__(self, config: RunConfig, directory: RunDirectory) -> None:
        self.board = Board()
        self._config = config
        self._folder = directory.path
        self._attempt = directory.attempt
        self._numbers = Numbers(self.board)
        self._poll: FleetPoll | None = None
        self._watching: asyncio.Task[None] | None = None
        self._phases: list[Phase] = []
        self._roles: set[str] = set()
        self._state = RunState.STARTING
        self._started = time.time()
        self._step, self._step_at, self._version = 0, 0.0, 0
        self._trajectories, self._tokens = 0, 0
        self._curves: dict[str, float] = {}
        self._problem = ""
        self._writing = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="status", daemon=True)
        self._begin_at_zero()

    def __enter__(self) -> "Monitor":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        if error is not None and not self._state.over:
            stopped = isinstance(error, KeyboardInterrupt)
            self._state = RunState.STOPPED if stopped else RunState.FAILED
            self._problem = "" if stopped else one_line(error)
        self.board.set("redline_training", 0)
        self.write()

    def enter(self, state: RunState) -> None:
        """The run now does something else."""
        self._state = state
        if state is RunState.TRAINING:
            self.board.set("redline_last_step_timestamp_seconds", time.time())
        self.board.set("redline_training", state is RunState.TRAINING)
        self.write()

    def on_phases(self, phases: list[Phase]) -> None:
        """These phases go on now."""
        self._phases = phases

    def on_resume(self, step: int, trajectories: int, tokens: int) -> None:
        """Training goes on after a step of an earlier attempt."""
        self._step, self._trajectories, self._tokens = step, trajectories, tokens
        self.board.set("redline_step", step)

    def on_step(self, step: int, report: StepReport, curves: dict[str, float]) -> None:
        """A step was trained, committed and pushed."""
        self._step, self._step_at = step, time.time()
        self._version = report.result.weight_version
        self._trajectories += report.result.trajectories
        self._tokens += report.result.tokens
        self._curves |= curves
        self._numbers.take_step(report, curves, step)
        self.board.set("redline_last_step_timestamp_seconds", self._step_at)
        self.write()

    def on_heldout(self, curves: dict[str, float]) -> None:
        """The held-out tasks were tried."""
        self._curves |= curves
        self.board.take_curves(curves)

    def on_memory(self, resident_bytes: int) -> None:
        """So much memory do the run's processes on this machine hold."""
        self.board.set("redline_driver_resident_bytes", resident_bytes)

    def on_checkpoint(self, seconds: float) -> None:
        """A checkpoint was written."""
        self.board.add("redline_phase_seconds", seconds, phase="checkpoint")
        self.board.set("redline_last_phase_seconds", seconds, phase="checkpoint")

    def on_restarts(self, role: Role, total: int) -> None:
        """So many workers of a role were replaced in this attempt."""
        self.board.follow("redline_worker_restarts", total, role=role)

    def watch(self, handles: Handles, restarts: Restarts) -> None:
        """Ask these workers about themselves from now on, and publish through Ray.

        `restarts` counts the workers that were replaced in this attempt.

        Called on the run's event loop with Ray connected; `stop_watching` ends it.
        """
        from redline.cluster.handles import answer
        from redline.cluster.monitoring.ray_export import RayExporter

        every = self._config.metrics.every
        self._poll = FleetPoll(handles, self._numbers.take, answer=answer, every=every)
        exporter = RayExporter(self.board, self._config.name) if self._exports else None
        self._watching = asyncio.ensure_future(self._watch(self._poll, restarts, exporter, every))
        self._watching.add_done_callback(_tell_failure)

    async def stop_watching(self) -> None:
        """The workers end now."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None

    def status(self) -> RunStatus:
        """The run at this moment."""
        phases = list(self._phases)
        return RunStatus(
            run=self._config.name,
            state=self._state,
            pid=os.getpid(),
            host=platform.node(),
            attempt=self._attempt,
            started_at=self._started,
            written_at=time.time(),
            steps=self._config.steps,
            step=self._step,
            step_at=self._step_at,
            version=self._version,
            phases=[phase.name for phase in phases],
            waiting_for=sorted({name for phase in phases for name in phase.waiting_for}),
            problem=self._problem,
            trajectories=self._trajectories,
            tokens=self._tokens,
            curves=dict(self._curves),
            workers=self._workers(),
            samples=self.board.samples(),
        )

    def write(self) -> None:
        """Bring the status file up to date.

        A full disk is no reason to end: who must write tells of it, and it may get room.
        """
        with self._writing, suppress(OSError):
            write_status(self._folder, self.status())

    @property
    def _exports(self) -> bool:
        """Whether anybody can scrape: a cluster of this run's own only with a port."""
        return self._config.ray.address is not None or self._config.metrics.port is not None

    async def _watch(
        self, poll: FleetPoll, restarts: Restarts, exporter: "RayExporter | None", every: float
    ) -> None:
        try:
            while True:
                for role, total in restarts().items():
                    self.on_restarts(role, total)
                for name in poll.refresh():
                    self.board.forget(worker=name)
                self._take_workers(poll.workers())
                if exporter is not None:
                    exporter.publish()
                await asyncio.sleep(every)
        finally:
            poll.close()

    def _take_workers(self, workers: list[WorkerStatus]) -> None:
        counts = Counter((worker.role, worker.state) for worker in workers)
        self._roles |= {worker.role for worker in workers}
        for role in self._roles:  # also one whose last worker is gone
            for state in WorkerState:
                self.board.set("redline_workers", counts[role, state], role=role, state=state)
        for worker in workers:
            self.board.add("redline_worker_restarts", 0, role=worker.role)
            if worker.state is WorkerState.LOST:
                self.board.forget(worker=worker.name)

    def _workers(self) -> list[WorkerStatus]:
        return [*self._learners(), *(self._poll.workers() if self._poll is not None else ())]

    def _learners(self) -> list[WorkerStatus]:
        """The learner does not answer while it trains: its steps are what is heard of it."""
        if self._poll is None:
            return []
        starting = self._state is RunState.STARTING
        state = WorkerState.STARTING if starting else WorkerState.SERVING
        ranks = self._config.learner.ranks
        names = ["learner"] if ranks == 1 else [f"learner-{rank}" for rank in range(ranks)]
        return [
            WorkerStatus(name=name, role=Role.LEARNER, state=state, version=self._version)
            for name in names
        ]

    def _begin_at_zero(self) -> None:
        """What is not known before the first step is 0, so that growth is seen from the start."""
        board, config = self.board, self._config
        board.set("redline_training", 0)
        board.set("redline_last_step_timestamp_seconds", self._started)
        board.set("redline_planned_steps", config.steps)
        board.set("redline_max_staleness", config.max_staleness)
        tolerances = [kind.config.rollout.probe_tolerance for kind in sampler_kinds(config)]
        board.set("redline_probe_tolerance", max(tolerances))
        for name in ("redline_steps", "redline_trajectories", "redline_trained_tokens"):
            board.add(name, 0)
        for metric in all_metrics().values():
            if metric.kind is Kind.COUNTER:
                for labels in metric.curves.values():
                    board.add(metric.name, 0, **labels)

    def _tick(self) -> None:
        while not self._end.wait(_SECONDS_BETWEEN_WRITES):
            self.write()


def _tell_failure(watching: "asyncio.Task[None]") -> None:
    """No run ends because its numbers are not told any more, but nobody should wonder why."""
    if not watching.cancelled() and (error := watching.exception()) is not None:
        say(f"metrics and workers' states are no longer told: {one_line(error)}")

"""Scales a running job by what its learner and its sandboxes wait for, within bounds."""

import asyncio
import time
from collections.abc import Callable

from redline.cluster.config import AutoscaleSettings
from redline.cluster.errors import UserError
from redline.cluster.loop.ports import Observer
from redline.cluster.loop.records import StepReport
from redline.cluster.workers.lifecycle import Stage
from redline.cluster.workers.scaling import Scaler
from redline.cluster.workers.target_tracking import TargetTracker, sampler_ratio

_SAMPLE_SECONDS = 2.0


class Autoscaler:
    """Looks at the load every now and then, and has the scaler follow it."""

    def __init__(
        self,
        scaler: Scaler,
        settings: AutoscaleSettings,
        *,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scaler = scaler
        self._settings = settings
        self._tell = tell
        self._clock = clock
        self._steps: list[StepReport] = []
        self._loads: list[float] = []
        self._refused: set[str] = set()
        """Fleets for whose growth the cluster had no place the last time."""
        self._samplers = TargetTracker(
            least=settings.samplers_min, most=settings.samplers_max, hold=settings.hold
        )
        self._sandboxes = TargetTracker(
            least=settings.sandboxes_min, most=settings.sandboxes_max, hold=settings.hold
        )

    def on_step(self, report: StepReport) -> None:
        """A step was trained: how long it waited counts."""
        self._steps.append(report)

    def sample(self) -> None:
        """Take down the sandboxes' load by their last heartbeats."""
        beats = [m.health for m in self._scaler.rollouts.sandboxes.at(Stage.SERVING) if m.health]
        if beats:
            programs = sum(beat.running + beat.queued for beat in beats)
            self._loads.append(programs / sum(beat.workers for beat in beats))

    async def look(self) -> None:
        """Decide by what was taken down since the last look."""
        for name, decided in (("samplers", self._by_steps()), ("sandboxes", self._by_loads())):
            if decided is not None and decided[0] != self._scaler.rollouts.fleets[name].target:
                await self._scale(name, *decided)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            end = self._clock() + self._settings.every
            while self._clock() < end:
                await asyncio.sleep(min(_SAMPLE_SECONDS, self._settings.every))
                self.sample()
            await self.look()

    def _by_steps(self) -> tuple[int, str] | None:
        """Samplers to have, and why; None without a step or while a worker is still coming."""
        steps, self._steps = self._steps, []
        fleet = self._scaler.rollouts.fleets["samplers"]
        seconds = sum(step.seconds_total for step in steps)
        if seconds <= 0 or len(fleet.at(Stage.SERVING)) != fleet.target:
            return None
        waiting = sum(step.seconds_wait for step in steps) / seconds
        idle = sum(step.rollouter_idle_ratio * step.seconds_total for step in steps) / seconds
        ratio = sampler_ratio(waiting=waiting, idle=idle, aim=self._settings.learner_waiting)
        count = self._samplers.decide(self._clock(), fleet.target, ratio)
        return count, f"the learner waited {waiting:.0%} of the time, samplers idled {idle:.0%}"

    def _by_loads(self) -> tuple[int, str] | None:
        """Sandboxes to have, and why; None while nothing is known."""
        loads, self._loads = self._loads, []
        fleet = self._scaler.rollouts.sandboxes
        if not loads or len(fleet.at(Stage.SERVING)) != fleet.target:
            return None
        load = sum(loads) / len(loads)
        ratio = load / self._settings.sandbox_load
        count = self._sandboxes.decide(self._clock(), fleet.target, ratio)
        return count, f"{load:.1f} programs for each fork server"

    async def _scale(self, name: str, count: int, why: str) -> None:
        """Scale; what the cluster cannot hold is told once, until it can."""
        try:
            await self._scaler.scale({name: count}, f"autoscaler: {why}")
            self._refused.discard(name)
        except UserError as error:
            if name not in self._refused:
                self._tell(f"autoscaler: {name} stay as they are: {error}")
            self._refused.add(name)


class WithAutoscaler:
    """An observer of the main loop whose steps the autoscaler hears of too."""

    def __init__(self, observer: Observer, autoscaler: Autoscaler) -> None:
        self._observer = observer
        self._autoscaler = autoscaler

    def on_step(self, report: StepReport) -> None:
        """A step was trained, committed and pushed."""
        self._autoscaler.on_step(report)
        self._observer.on_step(report)

    def on_checkpoint(self, step: int, seconds: float) -> None:
        """A checkpoint was written."""
        self._observer.on_checkpoint(step, seconds)

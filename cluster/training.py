"""A training run as a whole: tasks, workers, evaluation, the loop, evaluation, report."""

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redline.cluster.checks.models import find_model
from redline.cluster.checks.resources import check_local
from redline.cluster.checks.store_place import check_store
from redline.cluster.config import RunConfig
from redline.cluster.control import ControlServer
from redline.cluster.deadlines import in_time, unless_failed
from redline.cluster.display.progress import Progress, open_progress
from redline.cluster.errors import UserError, one_line
from redline.cluster.evaluation.evaluating import Evaluation, evaluate_policy
from redline.cluster.fleet import Fleet, start_fleet
from redline.cluster.guardian import Guardian
from redline.cluster.isolation import RunIsolation
from redline.cluster.judging import LocalJudge
from redline.cluster.loop.checkpoints import Checkpoints
from redline.cluster.loop.continuing import BegunGroups
from redline.cluster.loop.controller import Controller, Plan
from redline.cluster.loop.credits import Credits
from redline.cluster.loop.records import Position
from redline.cluster.loop.resampling import Resampling
from redline.cluster.loop.stall import diagnose
from redline.cluster.loop.task_order import TaskOrder
from redline.cluster.memory import MemoryWatch
from redline.cluster.monitoring.checks import check_metrics
from redline.cluster.monitoring.monitor import Monitor
from redline.cluster.monitoring.watched_progress import WatchedProgress
from redline.cluster.observer import RunObserver
from redline.cluster.report.report import write_report
from redline.cluster.report.result import RunSummary, write_result
from redline.cluster.run_directory import RunDirectory
from redline.cluster.simulating import read_recording
from redline.cluster.status_file import RunState
from redline.cluster.stopping import StopSwitch, run_until_stopped
from redline.cluster.task_supply import TaskSupply, check_task_files, supply_tasks
from redline.cluster.watching import look, tell_stalls
from redline.cluster.workers.autoscaler import Autoscaler, WithAutoscaler
from redline.learner.learner import Learner
from redline.replay.cursor import Cursor

_SECONDS_TO_END_WORKERS = 2.0
_SECONDS_TO_LEAVE_RAY = 2.0
"""Whoever needs longer is killed: a run ends within 15 s of Ctrl-C, on a busy machine too."""


def run_training(config: RunConfig, *, resume: bool) -> dict[str, Any]:
    """Train as configured and return what result.json says.

    Raises UserError before anything is started or left behind when the input cannot work, and
    WorkFailed when the work failed; what was reached by then can be resumed.
    """
    began = time.monotonic()
    model = find_model(config.model)
    check_learner(config, model)
    check_task_files(config.tasks)
    check_local(config)
    read_recording(config)
    check_store(config, resume=resume)
    check_metrics(config)
    with (
        RunDirectory.reopen(config) if resume else RunDirectory.create(config) as directory,
        open_progress(f"run {config.name}") as shown,
        Monitor(config, directory) as monitor,
        MemoryWatch(tell=monitor.on_memory) as memory,
    ):
        progress = WatchedProgress(shown, monitor)
        progress.say(f"run {config.name} in {directory.path}, logs in {directory.logs}")
        with progress.phase("preparing tasks"):
            tasks = supply_tasks(config.tasks, directory.tasks, LocalJudge(config.sandbox))
        run = TrainingRun(
            config=config,
            model=model,
            directory=directory,
            tasks=tasks,
            progress=progress,
            monitor=monitor,
            memory=memory,
            began=began,
        )
        guardian = Guardian()
        try:
            summary = run_until_stopped(run.run())
        finally:
            guardian.close()
        monitor.enter(RunState.STOPPED if summary is None else RunState.FINISHED)
        if summary is None:
            return {"interrupted": True, "run": str(directory.path)}
    result = write_result(directory.result, summary)
    write_report(directory, config, summary)
    return result


def check_learner(config: RunConfig, model: str) -> None:
    """UserError when the learner cannot follow its settings; costs no engine."""
    try:
        Learner(model_path=model, settings=config.learner)
    except ValueError as error:
        raise UserError(one_line(error)) from error


@dataclass(slots=True, kw_only=True)
class TrainingRun:
    """One attempt at a run, from the start of its workers to its report."""

    config: RunConfig
    model: str
    directory: RunDirectory
    tasks: TaskSupply
    progress: Progress
    monitor: Monitor
    memory: MemoryWatch
    began: float
    isolation: RunIsolation | None = None
    """Of the sandboxes; None before they are started."""

    async def run(self) -> RunSummary | None:
        """Start workers, train, evaluate; ends all workers in any case. None when stopped."""
        switch = StopSwitch(self.progress)
        with switch.armed(), ControlServer(self.directory.path) as control:
            with self.progress.phase("starting Ray"):
                from redline.cluster.launch import Cluster

                cluster = await asyncio.to_thread(Cluster, self.config, self.directory.logs)
            try:
                return await self._with_fleet(cluster, switch, control)
            finally:
                with self.progress.phase("leaving Ray"):
                    await cluster.stop_within(_SECONDS_TO_LEAVE_RAY)

    async def _with_fleet(
        self, cluster: Any, switch: StopSwitch, control: ControlServer
    ) -> RunSummary | None:
        fleet = await start_fleet(
            cluster,
            self.config,
            model=self.model,
            replay=self.directory.replay,
            progress=self.progress,
        )
        try:
            self.progress.say(fleet.isolation.summary())
            fleet.rollouts.on_sandbox = lambda: self._record(fleet.isolation)
            self._record(fleet.isolation)
            self.monitor.watch(lambda: fleet.closing, fleet.restarts)
            fleet.scaler.on_asked = self._keep_counts
            serve = control.serve(fleet.scaler.answer, self.progress.say)
            answering = asyncio.ensure_future(serve)
            try:
                work = self._train_and_evaluate(fleet, switch)
                return await unless_failed(work, fleet.failure())
            finally:
                answering.cancel()
        finally:
            await self.monitor.stop_watching()
            with self.progress.phase("ending workers"):
                await fleet.close(min(self.config.deadlines.stop, _SECONDS_TO_END_WORKERS))

    def _record(self, isolation: RunIsolation) -> None:
        """Keep under what programs are executed."""
        self.isolation = isolation
        isolation.save(self.directory.isolation)

    def _keep_counts(self, counts: Mapping[str, int]) -> None:
        """Let --resume start with as many workers as were asked for last."""
        try:
            self.directory.keep_counts(counts)
        except OSError as error:
            self.progress.say(f"--resume will not know of these counts: {one_line(error)}")

    async def _train_and_evaluate(self, fleet: Fleet, switch: StopSwitch) -> RunSummary | None:
        observer = RunObserver(self.config, self.directory, self.progress, self.monitor, self.began)
        checkpoints = Checkpoints(self.directory.checkpoints, keep=self.config.keep_checkpoints)
        position, lost = await self._restore(fleet, checkpoints)
        observer.open(position.step)
        controller = await self._controller(fleet, checkpoints, observer, position)
        try:
            if lost:
                with self.progress.phase(f"training {lost} stored groups again"):
                    await controller.replay(lost)
            with self.progress.phase("proving weights on all samplers"):
                observer.on_receipts(await controller.publish())
            self.directory.keep()
            before = await self._evaluate(fleet, observer, "before", reuse=True)
            self.monitor.enter(RunState.TRAINING)
            await self._train(controller, fleet, switch)
            if switch.stopped:
                return None
            if controller.step < self.config.steps:
                limit = self.config.max_seconds
                self.progress.say(
                    f"time is up after step {controller.step} (max_seconds={limit:g})"
                )
            after = await self._evaluate(fleet, observer, "after", reuse=False)
        finally:
            observer.close()
        return self._summary(observer, before, after)

    async def _train(self, controller: Controller, fleet: Fleet, switch: StopSwitch) -> None:
        """The main loop: stopped by signals, watched for stalls, and scaled if that is set."""
        say, settings = self.progress.say, self.config.fleet.autoscale
        controller.explain = lambda: diagnose(look(controller, fleet.rollouts))
        beside = [tell_stalls(controller, fleet.rollouts, self.config.deadlines.stall, say)]
        if settings.enabled:
            autoscaler = Autoscaler(fleet.scaler, settings, tell=say)
            controller.observer = WithAutoscaler(controller.observer, autoscaler)
            beside.append(autoscaler.run())
        tasks = [asyncio.ensure_future(work) for work in beside]
        switch.controller = controller
        try:
            await controller.run()
        finally:
            for task in tasks:
                task.cancel()
        switch.controller = None

    async def _restore(self, fleet: Fleet, checkpoints: Checkpoints) -> tuple[Position, int]:
        """Where training goes on, and how many stored groups have to be trained again."""
        found = checkpoints.latest()
        folder, position = found if found else (None, Position())
        if folder is not None:
            with self.progress.phase(f"loading checkpoint {folder.name}"):
                load = fleet.learner.load_checkpoint(folder)
                await in_time(load, self.config.deadlines.checkpoint, f"checkpoint {folder}")
        now = await fleet.store.cursor()
        start = position.store_cursor or Cursor(store_id=now.store_id, committed=(), dropped=())
        lost = count_groups(now) - count_groups(start)
        await fleet.store.rewind(start)
        stats = await fleet.store.stats()
        if stats.lost:
            names = ", ".join(stats.lost)
            self.progress.say(f"damaged segments lost groups {names}: they are sampled again")
        return position, min(lost, stats.available)

    async def _controller(
        self,
        fleet: Fleet,
        checkpoints: Checkpoints,
        observer: RunObserver,
        position: Position,
    ) -> Controller:
        stored = await fleet.store.group_ids()
        stats = await fleet.store.stats()
        begun = BegunGroups(await fleet.store.in_flight(), too_old=self.config.rollout.too_old)
        if begun:
            self.progress.say(f"{len(begun)} groups that were in flight go on from their turns")
        order = TaskOrder(self.tasks.train, self.config.seed)
        return Controller(
            plan=Plan(
                steps=self.config.steps,
                checkpoint_every=self.config.checkpoint_every,
                deadlines=self.config.deadlines,
                ends_at=self.began + (self.config.max_seconds or math.inf),
            ),
            samplers=fleet.samplers,
            store=fleet.store,
            learner=fleet.learner,
            observer=observer,
            checkpoints=checkpoints,
            credits=Credits(
                max_staleness=self.config.max_staleness,
                groups_per_step=self.config.learner.groups_per_step,
                stored=stats.available + stats.buffered,
            ),
            order=order,
            todo=order.numbers(stored),
            position=position,
            resampling=Resampling.of(self.config.learner.loss),
            begun=begun,
        )

    async def _evaluate(
        self, fleet: Fleet, observer: RunObserver, name: str, *, reuse: bool
    ) -> Evaluation | None:
        """Evaluate on the held-out tasks; an earlier attempt's result is taken up again."""
        path = self.directory.path / "evaluation" / f"{name}.json"
        if self.config.eval.tasks == 0:
            return None
        if reuse and (known := Evaluation.load(path)) is not None:
            return known
        self.monitor.enter(RunState.EVALUATING)
        with self.progress.phase(f"evaluating {name} training") as phase:
            found, _ = await evaluate_policy(fleet.samplers, self.tasks.heldout, self.config, phase)
        found.save(path)
        observer.on_heldout({"greedy": found.greedy.rate.rate, "sampled": found.sampled.rate.rate})
        self.progress.say(f"{name} training: {found.summary()}")
        return found

    def _summary(
        self, observer: RunObserver, before: Evaluation | None, after: Evaluation | None
    ) -> RunSummary:
        return RunSummary(
            seconds_to_first_step=observer.seconds_to_first_step,
            seconds_total=time.monotonic() - self.began,
            peak_rss_gib=self.memory.peak_gib,
            probe_max_abs_dlogp=observer.max_abs_dlogp,
            steps=observer.steps,
            trajectories=observer.trajectories,
            tokens_trained=observer.tokens,
            isolation=self.isolation.tier if self.isolation else "",
            before=before,
            after=after,
        )


def count_groups(cursor: Cursor) -> int:
    """Groups that were trained on."""
    return sum(entry.last - entry.first + 1 for entry in cursor.committed)

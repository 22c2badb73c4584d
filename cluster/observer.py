"""Watches the controller for the user: progress, curves, status and the sums of a run."""

import time
from collections.abc import Mapping, Sequence

from redline.cluster.config import RunConfig
from redline.cluster.display.progress import Progress
from redline.cluster.loop.records import StepReport
from redline.cluster.metrics import Metrics, read_steps
from redline.cluster.monitoring.monitor import Monitor
from redline.cluster.monitoring.sinks import open_sinks
from redline.cluster.run_directory import RunDirectory
from redline.replay.records import WeightReceipt


class RunObserver:
    """Told of every step, push and checkpoint."""

    def __init__(
        self,
        config: RunConfig,
        directory: RunDirectory,
        progress: Progress,
        monitor: Monitor,
        began: float,
    ) -> None:
        self._config = config
        self._directory = directory
        self._progress = progress
        self._monitor = monitor
        self._began = began
        self._metrics: Metrics | None = None
        self.seconds_to_first_step = 0.0
        self.max_abs_dlogp = 0.0
        self.steps = 0
        self.trajectories = 0
        self.tokens = 0

    def open(self, first_step: int) -> None:
        """Take up the curves after `first_step` steps of an earlier attempt.

        Raises UserError when a tracker of `metrics.sinks` refuses the run.
        """
        folder = self._directory.metrics
        folder.mkdir(parents=True, exist_ok=True)
        sinks = open_sinks(self._config, folder, self._progress.say)
        self._metrics = Metrics(folder, first_step=first_step, sinks=sinks)
        self.steps = first_step
        for line in read_steps(self._directory.metrics / "steps.jsonl"):
            self.trajectories += line["trajectories"]
            self.tokens += line["tokens"]
            self.max_abs_dlogp = max(self.max_abs_dlogp, line["weights/max_abs_dlogp"])
        self._monitor.on_resume(first_step, self.trajectories, self.tokens)

    def on_receipts(self, receipts: Sequence[WeightReceipt]) -> None:
        """Weights were proven outside of a step."""
        worst = max((r.max_abs_dlogp for r in receipts), default=0.0)
        self.max_abs_dlogp = max(self.max_abs_dlogp, worst)
        self._progress.say(
            f"weights proven on {len(receipts)} samplers: the probe's log-probabilities differ "
            f"by at most {worst:.1e}"
        )

    def on_step(self, report: StepReport) -> None:
        """A step was trained, committed and pushed."""
        self.steps += 1
        self.trajectories += report.result.trajectories
        self.tokens += report.result.tokens
        self.max_abs_dlogp = max(self.max_abs_dlogp, report.max_abs_dlogp)
        if self.seconds_to_first_step == 0.0:
            self.seconds_to_first_step = time.monotonic() - self._began
        if self._metrics is not None:
            curves = self._metrics.write(self.steps, report)
            self._monitor.on_step(self.steps, report, curves)
        self._progress.step(self.steps, self._config.steps, report)

    def on_checkpoint(self, step: int, seconds: float) -> None:
        """A checkpoint was written."""
        if self._metrics is not None:
            self._metrics.write_checkpoint(step, seconds)
        self._monitor.on_checkpoint(seconds)
        self._progress.say(f"checkpoint of step {step} written in {seconds:.2f} s")

    def on_heldout(self, rates: Mapping[str, float]) -> None:
        """The held-out tasks were tried; solve rates by arm."""
        if self._metrics is not None:
            self._monitor.on_heldout(self._metrics.write_heldout(self.steps, rates))

    def close(self) -> None:
        """Close the curves."""
        if self._metrics is not None:
            self._metrics.close()

"""`redline repair` as a whole: inputs, an engine in a process of its own, no Ray, the outcome."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redline.actors.settings import SamplingSettings
from redline.cluster.config import RunConfig
from redline.cluster.display.progress import Progress, open_progress
from redline.cluster.errors import WorkFailed, one_line
from redline.cluster.load import load_config
from redline.cluster.local_engine import engine_overrides, started
from redline.cluster.repair.repairing import RepairOutcome, judge, repair
from redline.dsl.tasks import RepairTask
from redline.replay.records import TrajectoryStatus
from redline.sandbox.records import InfrastructureError
from redline.sandbox.settings import limits_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redline.sandbox.pool import SandboxPool


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRequest:
    """What is asked for one program."""

    program: str
    prompt: str
    tests: tuple[str, ...]
    samples: int
    max_turns: int

    @property
    def task(self) -> RepairTask:
        """The same as a task."""
        return RepairTask(
            task_id="repair", prompt=self.prompt, broken=self.program, tests=self.tests
        )


def repair_config(model: str, config: str, overrides: "Sequence[str]") -> RunConfig:
    """The settings of a repair: of a preset, with an engine fitted to one user and one model.

    `overrides` come last and may change anything. Raises UserError.
    """
    return load_config(config, [*engine_overrides(model), *overrides])


def run_repair(request: RepairRequest, model: str, config: RunConfig) -> RepairOutcome:
    """Repair one program; a program that passes already costs no engine.

    Raises UserError when the engine cannot serve the model, WorkFailed when nothing came to an
    end.
    """
    with open_progress("repair") as progress:
        return asyncio.run(_repair(request, model, config, progress))


async def _repair(
    request: RepairRequest, model: str, config: RunConfig, progress: Progress
) -> RepairOutcome:
    from redline.sandbox.pool import SandboxPool

    try:
        async with SandboxPool(config.sandbox.workers_per_actor, config.sandbox) as pool:
            before = await judge(request.task, request.program, pool, limits_of(config.sandbox))
            if before.passed:
                return RepairOutcome(before=before, best=None, samples=0)
            async with started(model, config, pool, progress) as sampler:
                with progress.phase(f"trying up to {request.samples} episodes"):
                    outcome = await repair(
                        request.task,
                        before,
                        sampler,
                        samples=request.samples,
                        max_turns=request.max_turns,
                        sampling=sampled(config),
                    )
            return await _confirmed(request, outcome, pool, config)
    except InfrastructureError as error:
        raise WorkFailed(f"sandbox: {one_line(error)}") from error


def sampled(config: RunConfig) -> SamplingSettings:
    """How episodes after the first are sampled: at the evaluation's temperature, with a seed."""
    from dataclasses import replace

    sampling = config.rollout.sampling
    seed = config.seed if sampling.seed is None else sampling.seed
    return replace(sampling, temperature=config.eval.temperature, seed=seed)


async def _confirmed(
    request: RepairRequest, outcome: RepairOutcome, pool: "SandboxPool", config: RunConfig
) -> RepairOutcome:
    """The outcome, its best program judged once more on its own: tests may depend on chance."""
    from dataclasses import replace

    if outcome.best is None:
        _complain_if_none_ran(outcome, config)
        return outcome
    limits = limits_of(config.sandbox)
    verdict = await judge(request.task, outcome.best.program, pool, limits)
    return replace(outcome, best=replace(outcome.best, verdict=verdict))


def _complain_if_none_ran(outcome: RepairOutcome, config: RunConfig) -> None:
    """WorkFailed when no episode could even take a turn."""
    kinds = set(outcome.statuses)
    if kinds == {TrajectoryStatus.ABORTED}:
        raise WorkFailed("every episode was aborted; the lines above say why")
    if kinds == {TrajectoryStatus.TRUNCATED}:
        raise WorkFailed(
            "the program, its prompt and the feedback of its tests do not fit into "
            f"rollout.engine.max_model_len={config.rollout.engine.max_model_len} tokens: raise it, "
            "as far as the model allows"
        )

"""`redline repair` as a whole: inputs, an engine in a process of its own, no Ray, the outcome."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redline.actors.settings import SamplingSettings
from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError, WorkFailed, one_line
from redline.cluster.load import load_config
from redline.cluster.progress import Progress, open_progress
from redline.cluster.repairing import RepairOutcome, judge, repair
from redline.dsl.tasks import RepairTask
from redline.replay.records import TrajectoryStatus
from redline.sandbox.records import InfrastructureError
from redline.sandbox.settings import limits_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from redline.actors.sampler import Sampler
    from redline.sandbox.pool import SandboxPool

_CONTEXT = 2048
_CACHED_TOKENS = 8192
"""Tokens that the KV cache has room for: several episodes at once."""
_MIN_CACHE_GIB = 0.25
_SECONDS_TO_START = 600.0


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
    return load_config(config, [*_engine_overrides(model), *overrides])


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


@asynccontextmanager
async def started(
    model: str, config: RunConfig, pool: "SandboxPool", progress: Progress
) -> "AsyncIterator[Sampler]":
    """A sampler without Ray, its engine in a process that ends with the block.

    Raises UserError when the model cannot be served, WorkFailed when its engine fails later.
    """
    from redline.actors.errors import EngineError
    from redline.actors.sampler import Sampler

    sampler = Sampler(
        model_path=model,
        rollout=config.rollout,
        sandbox=pool,
        prompts=config.prompt,
        rewards=config.reward,
        limits=limits_of(config.sandbox),
        name="repair",
        seed=config.seed,
    )
    try:
        with output_to_stderr():
            await _start(sampler, model, progress)
            yield sampler
    except EngineError as error:
        raise WorkFailed(f"policy {model}: {one_line(error)}") from error
    finally:
        await sampler.close()


async def _start(sampler: "Sampler", model: str, progress: Progress) -> None:
    from redline.actors.errors import EngineError

    try:
        with progress.phase(f"loading {model}"):
            await asyncio.wait_for(sampler.start(), _SECONDS_TO_START)
    except TimeoutError as error:
        raise WorkFailed(f"policy {model}: no engine after {_SECONDS_TO_START:.0f} s") from error
    except (EngineError, OSError, ValueError) as error:
        raise UserError(f"policy {model}: {one_line(error)}") from error


@contextmanager
def output_to_stderr() -> Iterator[None]:
    """Let whatever an engine prints, its own processes included, keep away from stdout."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


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


def _engine_overrides(model: str) -> list[str]:
    """Settings for one user on this machine, from the shape of the model."""
    shape = _shape(model)
    context = min(_CONTEXT, int(shape.get("max_position_embeddings") or _CONTEXT))
    heads = int(shape.get("num_attention_heads") or 1)
    width = int(shape.get("head_dim") or int(shape.get("hidden_size") or 1) // heads)
    kept = int(shape.get("num_key_value_heads") or heads) * width
    token_bytes = 2 * 4 * kept * int(shape.get("num_hidden_layers") or 1)
    cache = max(_MIN_CACHE_GIB, token_bytes * _CACHED_TOKENS / 2**30)
    gpu = Path("/dev/nvidia0").exists()
    return [
        f"rollout.engine.max_model_len={context}",
        f"rollout.engine.kv_cache_gib={cache:.3f}",
        f"rollout.engine.dtype={'auto' if gpu else 'float32'}",
        f"rollout.engine.omp_threads={len(os.sched_getaffinity(0))}",
        "rollout.engine.max_num_seqs=32",
        # Compiling takes longer than what it would save in so few episodes.
        "rollout.engine.enforce_eager=true",
    ]


def _shape(model: str) -> dict[str, Any]:
    """The model's config.json; empty for a hub name."""
    path = Path(model) / "config.json"
    if not path.is_file():
        return {}
    try:
        shape = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not JSON: {one_line(error)}") from error
    if not isinstance(shape, dict):
        raise UserError(f"{path}: expected a JSON object")
    return shape

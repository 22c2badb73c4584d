"""An evaluation by itself: workers, arms, results as tables, JSON, pictures and a page."""

import asyncio
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from redline.actors.evaluation_summary import EvalResult
from redline.cluster.checks.models import find_model
from redline.cluster.commands.export import policy_folder
from redline.cluster.commands.tasks import refuse_existing
from redline.cluster.config import RunConfig
from redline.cluster.display.progress import Progress, open_progress
from redline.cluster.errors import UserError
from redline.cluster.evaluation.archive import EvaluationArchive
from redline.cluster.evaluation.evaluating import (
    COE,
    ArmResult,
    NoSamplers,
    SamplerSource,
    evaluate_arms,
    group_names,
    spread,
)
from redline.cluster.evaluation.page import write_pages
from redline.cluster.files import write_atomically
from redline.cluster.judging import LocalJudge
from redline.cluster.provenance import (
    commit,
    fingerprint_of_policy,
    fingerprint_of_tasks,
    versions,
)
from redline.cluster.report.tables import evaluation_tables
from redline.cluster.sampler_kinds import sampler_kinds
from redline.cluster.stopping import StopSwitch, run_until_stopped
from redline.cluster.task_supply import check_task_files, supply_heldout
from redline.dsl.tasks import RepairTask


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What an evaluation is about."""

    config: RunConfig
    model: str
    tasks: list[RepairTask]
    arms: Sequence[str]
    progress: Progress


def run_evaluation(
    config: RunConfig, policy: str, arms: Sequence[str], output: Path | None
) -> dict[str, Any]:
    """Evaluate a policy and return the figures; UserError when the input cannot work.

    `output` is a folder that is taken up again after an interruption, or a file that ends in
    .json, which gets the figures alone.
    """
    began = time.monotonic()
    config = _seeded(config)
    model = find_model(policy_path(policy))
    check_task_files(config.tasks)
    if output is not None and output.suffix == ".json":
        refuse_existing(output)
    with open_progress(f"eval {policy}") as progress:
        with progress.phase("preparing tasks"):
            tasks = spread(
                supply_heldout(config.tasks, LocalJudge(config.sandbox)), config.eval.tasks
            )
        work = _Work(config=config, model=model, tasks=tasks, arms=arms, progress=progress)
        settings = identity_of(config, model, tasks)
        results = _run(work, settings, output)
    result = {
        **result_json(policy, results),
        "settings": settings,
        "versions": versions(),
        "commit": commit(),
        "seconds": round(time.monotonic() - began, 1),
    }
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 110, highlight=False)
    console.print(evaluation_tables(results))
    if output is not None:
        _write(output, policy, results, result)
        console.print(f"\nwritten to {output}")
    return result


def result_json(policy: str, results: Sequence[ArmResult]) -> dict[str, Any]:
    """The figures of all arms; those of the editor also stand at the top, or null."""
    arms = {
        result.arm: {
            "greedy": figures(result.found.greedy),
            "sampled": figures(result.found.sampled),
        }
        for result in results
    }
    editor = arms.get(COE, {})
    return {
        "policy": policy,
        "greedy": editor.get("greedy"),
        "sampled": editor.get("sampled"),
        "arms": arms,
    }


def figures(result: EvalResult) -> dict[str, Any]:
    """One result as JSON values, single tasks left out."""
    return {
        **asdict(result.rate),
        "by_turns": {str(entry.turns): entry.rate.rate for entry in result.by_turns},
        "by_family": {entry.family: entry.rate.rate for entry in result.by_family},
        "pass_at": {str(entry.k): entry.value for entry in result.pass_at},
        "pass_at_ci": {str(entry.k): [entry.ci_low, entry.ci_high] for entry in result.pass_at},
        "pass_at_tokens": {str(entry.k): entry.tokens for entry in result.pass_at},
        "by_tokens": {str(entry.tokens): asdict(entry.rate) for entry in result.by_tokens},
        "by_status": {str(entry.status): entry.episodes for entry in result.by_status},
        "by_length": {
            str(entry.turns): {"episodes": entry.episodes, "solved": entry.solved}
            for entry in result.by_length
        },
        "num_turns": result.num_turns,
        "num_tokens": result.num_tokens,
        "aborted": result.aborted,
    }


def identity_of(config: RunConfig, model: str, tasks: Sequence[RepairTask]) -> dict[str, Any]:
    """Everything that decides what the episodes are: kept episodes belong to one such record."""
    kinds = sampler_kinds(config)
    return {
        "policy": model,
        "weights": fingerprint_of_policy(model),
        "tasks": len(tasks),
        "tasks_fingerprint": fingerprint_of_tasks(tasks),
        "seed": config.seed,
        "sampling": asdict(config.rollout.sampling),
        "eval": asdict(config.eval),
        "prompt": asdict(config.prompt),
        "max_context": config.rollout.engine.max_model_len,
        "dtype": ", ".join(dict.fromkeys(k.config.rollout.engine.dtype for k in kinds)),
    }


def policy_path(given: str) -> str:
    """The policy of a run or checkpoint folder, else what was given."""
    if not Path(given).is_dir():
        return given
    try:
        return str(policy_folder(Path(given)))
    except UserError:
        return given  # `find_model` says what is wrong with it as a policy


def _seeded(config: RunConfig) -> RunConfig:
    """The same configuration with a seed for sampling: what is recorded can be repeated."""
    sampling = config.rollout.sampling
    if sampling.seed is not None:
        return config
    seeded = dataclasses.replace(sampling, seed=config.seed)
    return dataclasses.replace(config, rollout=dataclasses.replace(config.rollout, sampling=seeded))


def _run(work: _Work, settings: dict[str, Any], output: Path | None) -> list[ArmResult]:
    kept = output is not None and output.suffix != ".json"
    with EvaluationArchive(output, settings) if kept and output else nullcontext() as archive:
        if archive is not None and archive.known:
            work.progress.say(f"{len(archive.known)} groups are in {output} already")
            if group_names(work.arms, len(work.tasks)) <= archive.known.keys():
                return asyncio.run(_summarise_kept(work, archive))
        return run_until_stopped(_evaluate(work, archive))


async def _summarise_kept(work: _Work, archive: EvaluationArchive) -> list[ArmResult]:
    """The results of kept groups alone: nothing is started."""
    with work.progress.phase("reading episodes") as phase:
        return await evaluate_arms(NoSamplers(), work.tasks, work.config, work.arms, phase, archive)


async def _evaluate(work: _Work, archive: EvaluationArchive | None) -> list[ArmResult]:
    from redline.cluster.sampler_fleet import on_ray_samplers

    config, progress = work.config, work.progress

    async def evaluate(samplers: SamplerSource) -> list[ArmResult]:
        with progress.phase("evaluating") as phase:
            return await evaluate_arms(samplers, work.tasks, config, work.arms, phase, archive)

    with StopSwitch(progress).armed():
        return await on_ray_samplers(config, model=work.model, progress=progress, work=evaluate)


def _write(output: Path, policy: str, results: Sequence[ArmResult], result: dict[str, Any]) -> None:
    """The result with the score of each task; into a folder also the picture and the page."""
    scores = {
        arm.arm: {
            "greedy": [asdict(score) for score in arm.found.greedy.scores],
            "sampled": [asdict(score) for score in arm.found.sampled.scores],
        }
        for arm in results
    }
    text = json.dumps({**result, "scores": scores}, indent=1) + "\n"
    if output.suffix == ".json":
        write_atomically(output, text)
        return
    write_atomically(output / "result.json", text)
    write_pages(output, policy, results, result)

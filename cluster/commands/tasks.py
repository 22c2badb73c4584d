"""`redline tasks`: make built-in tasks, and check task files."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from redline.cluster.commands.isolation_options import (
    MIN_TIER,
    AllowUnsafe,
    MinTier,
    sandbox_settings,
)
from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.output import emit_json, say
from redline.sandbox.settings import SandboxSettings

app = typer.Typer(help="Make and check task files.", no_args_is_help=True)

Count = Annotated[int, typer.Option(min=1, help="Number of tasks.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same tasks.")]
Output = Annotated[Path, typer.Option(help="File to write; it must not exist.")]
Split = Annotated[str, typer.Option(help="train, heldout or heldout_family.")]
EditsMin = Annotated[int, typer.Option(min=1, help="Fewest random edits of a task.")]
EditsMax = Annotated[int, typer.Option(min=1, help="Most random edits of a task.")]

CHECK_FIGURES = (
    "tasks", "broken_failing", "references_passing", "infrastructure_errors", "seconds",
)  # fmt: skip
"""What `check --json` prints."""
SHOWN_FAILURES = 20

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command("generate")
def generate(
    count: Count,
    output: Output,
    seed: Seed = 0,
    split: Split = "train",
    edits_min: EditsMin = 1,
    edits_max: EditsMax = 5,
    json: Json = False,
    min_tier: MinTier = MIN_TIER,
    allow_unsafe: AllowUnsafe = False,
) -> None:
    """Write built-in tasks, each broken program checked to fail in the sandbox."""
    from redline.dsl.task_files import write_tasks

    began = time.monotonic()
    settings = sandbox_settings(min_tier, allow_unsafe)
    refuse_existing(output)
    made = make_builtin(count, seed, split, edits_min, edits_max, settings)
    write_tasks(output, [generated.task for generated in made])
    report(json, {"tasks": len(made), "output": str(output)}, began)


@app.command("check")
def check(
    file: Annotated[
        str, typer.Argument(help="Task file, MBPP, HumanEvalFix or failing programs; path or URL.")
    ],
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse the file (status 2) instead of counting.")
    ] = False,
    json: Json = False,
    min_tier: MinTier = MIN_TIER,
    allow_unsafe: AllowUnsafe = False,
) -> None:
    """Run broken program and reference of every task: the first must fail, the second pass."""
    from redline.cluster.display.counting import count_progress
    from redline.cluster.isolation import sandbox_problem
    from redline.cluster.judging import local_workers
    from redline.cluster.task_supply import read_user_tasks
    from redline.sandbox.records import InfrastructureError
    from redline.sandbox.task_runner import check_tasks

    settings = sandbox_settings(min_tier, allow_unsafe)
    tasks = read_user_tasks(file)
    programs = len(tasks) + sum(task.reference is not None for task in tasks)
    try:
        with count_progress("checking", programs, "programs") as advance:
            found = check_tasks(
                tasks,
                workers=local_workers(),
                settings=settings,
                progress=lambda done, total: advance(done),
            )
    except InfrastructureError as error:
        raise sandbox_problem(error) from error
    if json:
        figures = asdict(found)
        emit_json({name: figures[name] for name in CHECK_FIGURES})
    else:
        say(
            f"{found.tasks} tasks: {found.broken_failing} broken programs fail, "
            f"{found.references_passing} of {found.references} references pass, "
            f"{found.infrastructure_errors} infrastructure errors, {found.seconds:.1f} s"
        )
    for failure in found.failures[:SHOWN_FAILURES]:
        say(f"task {failure.task_id}: {failure.reason}")
    if found.failures or found.infrastructure_errors:
        refusal = UserError if strict and found.failures else WorkFailed
        raise refusal(
            f"{file}: {len(found.failures)} programs are not as claimed, "
            f"{found.infrastructure_errors} have no verdict"
        )


def refuse_existing(output: Path) -> None:
    """UserError when a file would be overwritten or its folder is missing."""
    if output.exists():
        raise UserError(f"{output} exists; choose another --output or remove it")
    if not output.parent.is_dir():
        raise UserError(f"no folder {output.parent} to write {output.name} into")


def make_builtin(
    count: int, seed: int, split: str, edits_min: int, edits_max: int, sandbox: SandboxSettings
) -> list:
    """Built-in tasks with their repairs; UserError for a split or edits that make no sense."""
    from redline.cluster.config import TaskSettings
    from redline.cluster.judging import LocalJudge
    from redline.cluster.task_supply import generate as generate_parts
    from redline.dsl.splits import SPLITS

    if split not in SPLITS:
        raise UserError(f"--split {split!r}: expected one of {', '.join(SPLITS)}")
    if edits_min > edits_max:
        raise UserError(f"--edits-min {edits_min} is above --edits-max {edits_max}")
    settings = TaskSettings(edits_min=edits_min, edits_max=edits_max, seed=seed)
    return generate_parts([(split, count)], settings, LocalJudge(sandbox))


def report(json: bool, figures: dict[str, object], began: float, *, quiet: bool = False) -> None:
    """Write what a command did: as JSON on stdout, or as a line on stderr unless `quiet`."""
    figures["seconds"] = round(time.monotonic() - began, 2)
    if json:
        emit_json(figures)
    elif not quiet:
        say(", ".join(f"{name} {value}" for name, value in figures.items()))

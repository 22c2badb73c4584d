"""`redline tasks demos`: demonstrations of built-in tasks, or of the programs of a file."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from redline.cluster.commands.isolation_options import (
    MIN_TIER,
    AllowUnsafe,
    MinTier,
    sandbox_settings,
)
from redline.cluster.commands.tasks import (
    EditsMax,
    EditsMin,
    Json,
    Output,
    Seed,
    make_builtin,
    refuse_existing,
    report,
)
from redline.cluster.errors import UserError
from redline.dsl.generated import GeneratedTask
from redline.sandbox.settings import SandboxSettings

_OF_DATA = "with --data: "


def demos(
    output: Output,
    count: Annotated[
        int | None, typer.Option(min=1, help="Demonstrations of built-in tasks to make.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Task file, MBPP, HumanEvalFix or failing programs.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the tasks.")] = "train",
    seed: Seed = 0,
    edits_min: EditsMin = 1,
    edits_max: EditsMax = 5,
    per_task: Annotated[
        int, typer.Option(min=1, help=_OF_DATA + "demonstrations of each reference.")
    ] = 100,
    method: Annotated[
        str | None,
        typer.Option(
            "--by",
            help=_OF_DATA + "corruption (undo random edits) or diff (from the broken program to "
            "the reference); as the file gives it if left out.",
        ),
    ] = None,
    mix: Annotated[
        str, typer.Option(help=_OF_DATA + "shares of edits: delete,add,replace_line,replace_word.")
    ] = "1,1,1,1",
    order: Annotated[
        str, typer.Option(help=_OF_DATA + "random edits anywhere, or top_down.")
    ] = "random",
    keep_passing: Annotated[
        bool,
        typer.Option("--keep-passing", help=_OF_DATA + "keep repairs that pass before their end."),
    ] = False,
    tokenizer: Annotated[
        str | None, typer.Option(help=_OF_DATA + "policy folder whose tokens are written too.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help=_OF_DATA + "leave out longer ones.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help=_OF_DATA + "tasks to use, spread over the file.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help=_OF_DATA + "fork servers (of each actor, with --ray); one per CPU."
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            help=_OF_DATA + "execute on sandbox actors of the Ray cluster at this address, auto, "
            "or local for one of this machine's own."
        ),
    ] = None,
    actors: Annotated[
        int | None,
        typer.Option(min=1, help="With --ray: sandbox actors; as many as its free CPUs hold."),
    ] = None,
    cpu_seconds: Annotated[
        float,
        typer.Option(min=0.01, help=_OF_DATA + "CPU limit of one test; endless loops cost it."),
    ] = 0.5,
    strict: Annotated[
        bool, typer.Option("--strict", help=_OF_DATA + "refuse references that fail.")
    ] = False,
    json: Json = False,
    min_tier: MinTier = MIN_TIER,
    allow_unsafe: AllowUnsafe = False,
) -> None:
    """Write demonstrations: states and commands, each checked to end in passing tests.

    OUTPUT ending in .jsonl holds text, .arrow also programs, statuses and, given a tokenizer,
    tokens with the mask of the commands. An interrupted run with --data goes on where it stopped.
    """
    began = time.monotonic()
    sandbox = sandbox_settings(min_tier, allow_unsafe)
    refuse_existing(output)
    if (data is None) == (count is None):
        raise UserError("give either --count N (built-in tasks) or --data FILE")
    if data is None:
        builtin = make_builtin(count or 0, seed, split, edits_min, edits_max, sandbox)
        report(json, _write_builtin(output, builtin, sandbox), began)
        return
    from redline.cluster.demos.from_data import DataRequest, demonstrate_data

    asked = DataRequest(
        data=data,
        split=split,
        seed=seed,
        edits=(edits_min, edits_max),
        per_task=per_task,
        method=method,
        mix=mix,
        order=order,
        keep_passing=keep_passing,
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        limit=limit,
        workers=workers,
        ray=ray,
        actors=actors,
        sandbox=replace(sandbox, cpu_seconds=cpu_seconds),
        strict=strict,
    )
    report(json, demonstrate_data(output, asked) | {"output": str(output)}, began, quiet=True)


def _write_builtin(
    output: Path, made: Sequence[GeneratedTask], sandbox: SandboxSettings
) -> dict[str, object]:
    """Write demonstrations of built-in tasks; returns the figures."""
    from redline.cluster.demonstrations import write_demonstrations

    write_demonstrations(output, made, sandbox)
    return {"demonstrations": len(made), "output": str(output)}

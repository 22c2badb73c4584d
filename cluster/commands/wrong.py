"""`redline tasks wrong`: wrong programs that a model writes, as repair tasks."""

import time
from typing import Annotated

import typer

from redline.cluster.commands.evaluate import Overrides
from redline.cluster.commands.tasks import Json, Output, refuse_existing, report
from redline.cluster.errors import UserError


def wrong(
    output: Output,
    data: Annotated[
        str, typer.Option(help="Problems: MBPP, HumanEvalFix, failing programs or a task file.")
    ],
    policy: Annotated[
        str,
        typer.Option("--policy", "--model", help="Model folder, checkpoint, run or hub name."),
    ],
    overrides: Overrides = None,
    split: Annotated[str, typer.Option(help="Split of the problems.")] = "train",
    samples: Annotated[int, typer.Option(min=1, help="Programs to sample for each problem.")] = 8,
    shots: Annotated[int, typer.Option(min=0, help="Worked examples in each prompt.")] = 3,
    shots_data: Annotated[
        str | None, typer.Option(help="File of the examples; --data if left out.")
    ] = None,
    shots_split: Annotated[str, typer.Option(help="Split of the examples.")] = "prompt",
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy.")] = 0.8,
    top_p: Annotated[float, typer.Option(min=0.01, max=1.0, help="Nucleus sampling.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sampling.")] = 0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a program at most.")] = 512,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Problems to use, spread over the file.")
    ] = None,
    keep_unfinished: Annotated[
        bool, typer.Option("--keep-unfinished", help="Keep programs cut off at --max-tokens.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse references that fail.")] = False,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Sample on the samplers of --config on the Ray cluster at this address, auto, or "
            "local for one of this machine's own; left out, an engine of this machine alone."
        ),
    ] = None,
    config: Annotated[str, typer.Option(help="Preset or YAML file for all settings.")] = "demo",
    json: Json = False,
) -> None:
    """Let a model write programs for problems, and keep each different one that fails.

    OUTPUT is a task file: the failing programs with the problems' tests, references and splits,
    so that those of an evaluation split are never trained on. An interrupted run goes on where it
    stopped.
    """
    from redline.actors.settings import SamplingSettings
    from redline.cluster.wrong.request import WrongRequest
    from redline.cluster.wrong.run import make_wrong_programs

    began = time.monotonic()
    refuse_existing(output)
    if output.suffix != ".jsonl":
        raise UserError(f"--output {output}: expected a name ending in .jsonl")
    asked = WrongRequest(
        data=data,
        split=split,
        policy=policy,
        samples=samples,
        shots=shots,
        shots_data=shots_data,
        shots_split=shots_split,
        sampling=SamplingSettings(temperature=temperature, top_p=top_p, seed=seed),
        max_tokens=max_tokens,
        limit=limit,
        keep_unfinished=keep_unfinished,
        strict=strict,
        ray=ray,
        config=config,
        overrides=tuple(overrides or ()),
    )
    figures = make_wrong_programs(output, asked)
    report(json, figures | {"output": str(output)}, began, quiet=True)

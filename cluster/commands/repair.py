"""`redline repair`: repairs a user's own program, and writes only what passes."""

import time
from pathlib import Path
from typing import Annotated

import typer

from redline.cluster.config import DEMO_POLICY
from redline.cluster.errors import UserError
from redline.cluster.output import emit_json, say

SAMPLES = 64
"""Episodes at most: where a greedy one fails, a small policy's luck is cheap to try."""


def newest_run(root: Path = Path("runs")) -> str:
    """The run below `root` whose checkpoint is the newest, to be named in the help."""
    try:
        found = [(p.stat().st_mtime, p.parts[-3]) for p in root.glob("*/checkpoints/latest")]
    except OSError:
        return ""
    return f"; the newest run here is {root / max(found)[1]}" if found else ""


def repair(
    program: Annotated[Path, typer.Argument(help="Python file to repair.")],
    tests: Annotated[Path, typer.Option(help="One test a line, or a .json list of strings.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Settings to change, as key=value.", metavar="a.b=c"),
    ] = None,
    policy: Annotated[
        str,
        typer.Option(
            help="Model folder, checkpoint or run; without it the policy that the demo starts "
            f"from{newest_run()}."
        ),
    ] = DEMO_POLICY,
    prompt: Annotated[
        str | None,
        typer.Option(help="What the program should do; without it, what its docstring says."),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, help="Episodes at most; the first is greedy.")
    ] = SAMPLES,
    max_turns: Annotated[int, typer.Option(min=1, help="Commands of an episode at most.")] = 10,
    write: Annotated[
        bool, typer.Option("--write", help="Replace the file if every test passes.")
    ] = False,
    config: Annotated[str, typer.Option(help="Preset or YAML file for all settings.")] = "demo",
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Repair a program by editing it until its tests pass; exit status 1 if none passes.

    Shows the chain of edits and the unified diff. With --write a program that passes every test
    replaces the file, whose old text is kept beside it with the ending .orig.
    """
    from redline.cluster.checks.models import find_model
    from redline.cluster.evaluation.run import policy_path
    from redline.cluster.repair.run import RepairRequest, repair_config, run_repair
    from redline.cluster.repair.source_file import SourceFile, prompt_of
    from redline.cluster.repair.test_input import read_tests
    from redline.cluster.repair.view import outcome_json, outcome_view, unified_diff

    began = time.monotonic()
    source = SourceFile.read(program)
    snippets = read_tests(tests)
    if not source.program.strip():
        raise UserError(f"program {program} is empty: there is nothing to repair")
    model = find_model(policy_path(policy))
    if not Path(model).is_dir():
        raise UserError(f"no model folder at {policy}: --policy takes a folder of this machine")
    settings = repair_config(model, config, overrides or [])
    request = RepairRequest(
        program=source.program,
        prompt=prompt_of(source.program) if prompt is None else prompt,
        tests=snippets,
        samples=samples,
        max_turns=max_turns,
    )
    outcome = run_repair(request, model, settings)
    best = outcome.best
    diff = "" if best is None else unified_diff(program, source.program, best.program)
    backup = source.replace(best.program) if write and best and outcome.solved else None
    if json:
        emit_json(
            {
                **outcome_json(outcome, diff),
                "written": backup is not None,
                "backup": None if backup is None else str(backup),
                "policy": policy,
                "seconds": round(time.monotonic() - began, 2),
            }
        )
    else:
        from rich.console import Console

        Console(highlight=False, soft_wrap=True).print(outcome_view(outcome, diff))
        if backup is not None:
            say(f"{program} written; its old text is in {backup}")
        elif best and outcome.solved:
            say(f"nothing was written; add --write to replace {program}")
    if not outcome.solved:
        raise typer.Exit(1)

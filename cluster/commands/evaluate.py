"""`redline eval`: how many tasks a policy solves, with intervals."""

from pathlib import Path
from typing import Annotated

import typer

from redline.cluster.errors import UserError
from redline.cluster.output import emit_json

Overrides = Annotated[
    list[str] | None, typer.Argument(help="Settings to change, as key=value.", metavar="a.b=c")
]


def evaluate(
    policy: Annotated[str, typer.Argument(help="Policy folder, checkpoint, run folder or name.")],
    overrides: Overrides = None,
    config: Annotated[str, typer.Option(help="Preset or YAML file for all settings.")] = "demo",
    tasks: Annotated[
        Path | None, typer.Option(help="Task file; without it the held-out built-in tasks.")
    ] = None,
    arms: Annotated[
        str, typer.Option(help="Of coe (the editor), direct and thinking, separated by commas.")
    ] = "coe",
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for result, page and episodes; given again, it goes on where it was "
            "interrupted. A name ending in .json gets the result alone."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Evaluate a policy: pass@k with intervals, by ending, by turns, by tokens spent."""
    from redline.cluster.load import load_config

    extra = [] if tasks is None else [f"tasks.heldout_file={tasks}"]
    settings = load_config(config, [*(overrides or []), *extra])
    chosen = chosen_arms(arms)
    from redline.cluster.evaluation.run import run_evaluation

    figures = run_evaluation(settings, policy, chosen, output)
    if json:
        emit_json(figures)


def chosen_arms(text: str) -> list[str]:
    """The arms of an option's text, each once; UserError for an unknown one or none."""
    from redline.cluster.evaluation.evaluating import ARMS

    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in ARMS:
            raise UserError(f"--arms {name!r}: expected some of {', '.join(ARMS)}")
    if not names:
        raise UserError(f"--arms names none: expected some of {', '.join(ARMS)}")
    return list(dict.fromkeys(names))

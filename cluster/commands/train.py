"""`redline train`: the main job."""

from typing import Annotated

import typer

from redline.cluster.output import emit_json, say

Overrides = Annotated[
    list[str] | None, typer.Argument(help="Settings to change, as key=value.", metavar="a.b=c")
]


def train(
    config: Annotated[str, typer.Option(help="Preset, or a YAML file.")],
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print configuration and plan; start nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="The result as one JSON object on stdout.")
    ] = False,
) -> None:
    """Train a policy by reinforcement learning."""
    from redline.cluster.checks.plan import plan_json, plan_text
    from redline.cluster.load import load_config, to_yaml
    from redline.cluster.resuming import resumed_config

    settings = load_config(config, overrides or [])
    if resume:
        settings = resumed_config(settings, overrides or [])
    if dry_run:
        if json:
            emit_json(plan_json(settings))
        else:
            print(to_yaml(settings) + "\n" + plan_text(settings))
        return
    from redline.cluster.training import run_training

    result = run_training(settings, resume=resume)
    if json:
        emit_json(result)
    if result.get("interrupted"):
        say(f"stopped; go on with: redline train --config {config} name={settings.name} --resume")
        raise typer.Exit(130)

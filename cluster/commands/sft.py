"""`redline sft`: supervised fine-tuning on demonstrations."""

from typing import Annotated

import typer

from redline.cluster.output import emit_json

Overrides = Annotated[
    list[str] | None, typer.Argument(help="Settings to change, as key=value.", metavar="a.b=c")
]


def sft(
    config: Annotated[str, typer.Option(help="Preset such as demo_sft, or a YAML file.")],
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the configuration.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run of this configuration.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Train a policy on demonstrations, from nothing or from a model."""
    from redline.cluster.load import load_sft_config, to_yaml

    settings = load_sft_config(config, overrides or [])
    if dry_run:
        print(to_yaml(settings))
        return
    from redline.cluster.warm_start import run_sft

    figures = run_sft(settings, resume=resume)
    if json:
        emit_json(figures)

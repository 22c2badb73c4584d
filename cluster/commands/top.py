"""`redline top`: a run at a glance, in a terminal."""

from pathlib import Path
from typing import Annotated

import typer

from redline.cluster.output import emit_json


def top(
    run: Annotated[str, typer.Argument(help="Name of a run, or its directory.", metavar="RUN")],
    run_root: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Show it once and end.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="One snapshot as one JSON object on stdout.")
    ] = False,
) -> None:
    """Show throughput, learning, fleet and drops of a run; Ctrl-C leaves it alone."""
    from redline.cluster.status_file import find_run, read_status, to_json

    folder = find_run(run, run_root)
    if json:
        status = read_status(folder)
        emit_json({**to_json(status), "late": status.late(), "age": round(status.age(), 3)})
        return
    from redline.cluster.display.top_view import show_once, watch

    if once:
        show_once(folder)
    else:
        watch(folder, every)

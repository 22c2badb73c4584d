"""`redline dashboard`: a web page for a running or finished run."""

import os
from pathlib import Path
from typing import Annotated

import typer

from redline.cluster.errors import UserError
from redline.cluster.output import emit_json, say

PORT = 8300


def dashboard(
    run: Annotated[
        str | None,
        typer.Argument(
            help="A run's folder or name; the newest in --root when left out.", metavar="RUN_DIR"
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = PORT,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with the token to ask for; made with a new one when missing."),
    ] = None,
    root: Annotated[Path, typer.Option(help="Folder that holds runs.")] = Path("runs"),
    json: Annotated[bool, typer.Option("--json", help="The address as JSON on stdout.")] = False,
) -> None:
    """Show a run in a web page: live curves, fleet, and every trajectory turn by turn."""
    from redline.cluster.dashboard.run_files import newest_run, open_run
    from redline.cluster.dashboard.server import is_loopback, listen, serve, url_of
    from redline.cluster.dashboard.token_file import VARIABLE, find_token

    files = open_run(run if run is not None else newest_run(root), root)
    if token_file is None and VARIABLE not in os.environ and not is_loopback(host):
        raise UserError(
            f"--host {host} lets other machines in and needs a token: give --token-file FILE "
            f"(made when missing) or set {VARIABLE}"
        )
    listener = listen(host, port)
    url = url_of(listener, host)
    with listener:
        token = find_token(token_file, os.environ)

        def ready() -> None:
            asked = " (asks for the token)" if token is not None else ""
            say(f"run {files.name!r} at {url}{asked}; Ctrl-C ends this page, not the run")
            if json:
                emit_json({"url": url, "run": files.name, "folder": str(files.folder)})

        serve(files, listener, token, ready)

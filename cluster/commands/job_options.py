"""Options that the commands about jobs share."""

from typing import Annotated

import typer

Address = Annotated[
    str | None,
    typer.Option(
        help="The cluster's dashboard, such as http://HEAD:8265; else RAY_API_SERVER_ADDRESS, "
        "RAY_ADDRESS or this machine's."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]

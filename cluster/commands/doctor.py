"""`redline doctor`: whether this machine can run redline, and what is missing."""

from typing import Annotated

import typer

from redline.cluster.output import emit_json


def doctor(
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to look for; RAY_ADDRESS unless given.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Check versions, engine, GPU, memory, disk, Ray's cluster and token, and the sandbox."""
    from redline.cluster.checks.doctor import examine

    findings = examine(address)
    if json:
        emit_json(
            {
                "ok": all(finding.ok for finding in findings),
                "checks": [
                    {"name": f.name, "ok": f.ok, "found": f.found, "remedy": f.remedy}
                    for f in findings
                ],
            }
        )
    else:
        for finding in findings:
            print(f"{'ok ' if finding.ok else 'BAD'} {finding.name:<14} {finding.found}")
            if not finding.ok:
                print(f"    {'':<14} {finding.remedy}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)

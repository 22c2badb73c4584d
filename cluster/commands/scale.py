"""`redline scale`: more or fewer workers in a running job."""

import re
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.output import emit_json, say

_FLEET = re.compile(r"([a-z][a-z0-9_]*_)?samplers|sandboxes")
_LOOK_SECONDS = 1.0


def scale(
    counts: Annotated[
        list[str],
        typer.Argument(
            help="How many there are to be; KIND_samplers=N for a further kind of samplers.",
            metavar="samplers=N sandboxes=M",
        ),
    ],
    run: Annotated[
        str | None,
        typer.Option(help="Name or folder of the run; not needed while only one is running."),
    ] = None,
    run_root: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when all of them serve and no other is left.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(help="Seconds for the job's answer, and again for --wait.")
    ] = 300.0,
    json: Annotated[
        bool, typer.Option("--json", help="The fleets as one JSON object on stdout.")
    ] = False,
) -> None:
    """Change the number of samplers and sandboxes of a running job."""
    from redline.cluster.control import ask, find_job

    targets = parse_counts(counts)
    job = find_job(run_root, run)
    state = ask(job, {"scale": targets}, seconds=timeout)
    say("; ".join(f"{name}: {describe(state[name])}" for name in targets))
    deadline = time.monotonic() + timeout
    while wait and not all(reached(state[name], count) for name, count in targets.items()):
        if time.monotonic() > deadline:
            late = "; ".join(f"{name}: {describe(state[name])}" for name in targets)
            raise WorkFailed(f"not reached after {timeout:.0f} s: {late}; the job goes on with it")
        time.sleep(_LOOK_SECONDS)
        state = ask(job, {}, seconds=timeout)
    if json:
        emit_json({"run": str(job), **state})


def parse_counts(counts: list[str]) -> dict[str, int]:
    """Counts by fleet; UserError for anything that is not FLEET=COUNT, or is told twice."""
    targets: dict[str, int] = {}
    for text in counts:
        name, _, count = text.partition("=")
        if not _FLEET.fullmatch(name) or not count.isdecimal() or int(count) < 1:
            raise UserError(
                f"{text!r}: expected samplers=N, KIND_samplers=N (of rollout.kinds.KIND) or "
                "sandboxes=N with N of at least 1"
            )
        if name in targets:
            raise UserError(f"{text!r}: {name} was given already")
        targets[name] = int(count)
    return targets


def reached(fleet: dict[str, Any], count: int) -> bool:
    """Whether exactly so many serve; raises WorkFailed when the job changed its mind."""
    if fleet["target"] != count:
        raise WorkFailed(f"the job now wants {fleet['target']}, no longer {count}")
    stages = [worker["stage"] for worker in fleet["workers"]]
    return stages == ["serving"] * count


def describe(fleet: dict[str, Any]) -> str:
    """A fleet in one line."""
    workers = ", ".join(f"{worker['name']} {worker['stage']}" for worker in fleet["workers"])
    return f"{fleet['target']} wanted ({workers or 'none there'})"

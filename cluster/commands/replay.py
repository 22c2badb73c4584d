"""`redline replay`: look into a trajectory store, also while a run writes to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redline.cluster.commands.tasks import refuse_existing
from redline.cluster.errors import UserError, WorkFailed, one_line
from redline.cluster.output import emit_json, say

if TYPE_CHECKING:
    from redline.replay.records import Trajectory, TrajectoryGroup
    from redline.replay.tables import TableName

app = typer.Typer(help="Look into a trajectory store.", no_args_is_help=True)

Store = Annotated[str, typer.Argument(help="A run's folder, or a store itself, also by URL.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command("ls")
def ls(store: Store, json: Json = False) -> None:
    """List the groups of a store."""
    from redline.replay.catalog import read_catalog

    with _told():
        catalog = read_catalog(_store(store))
    if json:
        from redline.replay.to_json import catalog_to_json

        emit_json(catalog_to_json(catalog))
        return
    from rich.console import Console

    from redline.replay.render_catalog import render_catalog

    Console().print(render_catalog(catalog))


@app.command("show")
def show(
    store: Store,
    name: Annotated[str, typer.Argument(help="Id of a trajectory or of a group.")],
    json: Json = False,
) -> None:
    """Show a trajectory turn by turn as coloured diffs, or a group's samples side by side."""
    from redline.replay.catalog import find_group, find_trajectory
    from redline.replay.errors import StoreError

    folder = _store(store)
    with _told():
        try:
            found = find_trajectory(folder, name)
        except StoreError:
            group = find_group(folder, name)
            _show_group(group, json)
            return
    _show_trajectory(found, json)


@app.command("verify")
def verify(store: Store, json: Json = False) -> None:
    """Check every byte of a store; exit status 1 when something is wrong."""
    from redline.replay.verify import verify_store

    with _told():
        report = verify_store(_store(store))
    if json:
        from redline.replay.to_json import report_to_json

        emit_json(report_to_json(report))
    else:
        from rich.console import Console

        from redline.replay.render_catalog import render_report

        Console().print(render_report(report))
    if not report.ok:
        raise WorkFailed(f"{report.path}: {len(report.problems)} problems")


@app.command("export")
def export(
    store: Store,
    output: Annotated[Path, typer.Argument(help="Parquet file to write; it must not exist.")],
    table: Annotated[
        str | None,
        typer.Option(help="Only this flat table: groups, trajectories, turns or tokens."),
    ] = None,
    json: Json = False,
) -> None:
    """Write all trajectories, or one flat table, to one Parquet file."""
    from redline.replay.export import export_parquet

    refuse_existing(output)
    with _told():
        rows = export_parquet(_store(store), output, _table(table))
    what = "trajectories" if table is None else f"rows of {table}"
    if json:
        emit_json({"trajectories" if table is None else "rows": rows, "output": str(output)})
    else:
        say(f"{rows} {what} written to {output}")


@app.command("sql")
def sql(
    store: Store,
    query: Annotated[
        str, typer.Argument(help="One SELECT over groups, trajectories, turns and tokens.")
    ],
    json: Json = False,
) -> None:
    """Ask a store in SQL (needs DuckDB); the query can read nothing else and write nothing."""
    from redline.replay.render_answer import render_answer
    from redline.replay.sql import ask

    with _told():
        answer = ask(_store(store), query)
    if json:
        from redline.replay.to_json import answer_to_json

        emit_json(answer_to_json(answer))
        return
    from rich.console import Console

    Console().print(render_answer(answer))


def _store(path: str) -> str:
    from redline.cluster.checks.store_place import store_of

    return store_of(path)


def _table(name: str | None) -> "TableName | None":
    from redline.replay.tables import TableName

    if name is None or name in set(TableName):
        return None if name is None else TableName(name)
    raise UserError(f"--table {name}: expected one of {', '.join(TableName)}")


def _show_trajectory(trajectory: "Trajectory", json: bool) -> None:
    from rich.console import Console

    from redline.replay.render import render_trajectory
    from redline.replay.to_json import trajectory_to_json

    if json:
        emit_json(trajectory_to_json(trajectory))
    else:
        Console().print(render_trajectory(trajectory))


def _show_group(group: "TrajectoryGroup", json: bool) -> None:
    from rich.console import Console

    from redline.replay.render import render_group
    from redline.replay.to_json import group_to_json

    if json:
        emit_json(group_to_json(group))
    else:
        Console().print(render_group(group))


@contextmanager
def _told() -> Iterator[None]:
    """One line for what the store complains of.

    Exit status 2 for a wrong path, id or version and for missing rights, 1 for damage.
    """
    from redline.replay.errors import ReplayError, SchemaVersionError, StoreError

    try:
        yield
    except (StoreError, SchemaVersionError, OSError) as error:
        raise UserError(one_line(error)) from error
    except ReplayError as error:
        raise WorkFailed(one_line(error)) from error

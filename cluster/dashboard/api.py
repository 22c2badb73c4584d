"""What other programs fetch from the dashboard, and what browsers save: JSON."""

import asyncio
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse

from redline.cluster.dashboard.lookup import NotStored, find, find_group
from redline.cluster.dashboard.query import QueryError, parse_query
from redline.cluster.dashboard.search import ResultRow, SearchResult, search
from redline.cluster.dashboard.watch import RunWatch
from redline.replay.to_json import group_to_json, trajectory_to_json


def make_api(watch: RunWatch) -> APIRouter:
    """The routes of one run. Everything that reads a store does so in another thread."""
    router = APIRouter()

    @router.get("/api/run")
    async def run() -> JSONResponse:
        return JSONResponse(run_json(watch))

    @router.get("/api/trajectories")
    async def found(request: Request) -> JSONResponse:
        try:
            query = parse_query(request.query_params)
        except QueryError as error:
            raise HTTPException(400, str(error)) from error
        return JSONResponse(
            result_json(await asyncio.to_thread(search, watch.index.snapshot, query))
        )

    @router.get("/api/trajectories/{trajectory_id:path}")
    async def download(trajectory_id: str) -> JSONResponse:
        try:
            one = await asyncio.to_thread(find, watch.index, trajectory_id)
        except NotStored as error:
            raise HTTPException(404, str(error)) from error
        facts = {"run": watch.files.name, "step": one.facts.step, "state": one.facts.state}
        return _file(trajectory_id, trajectory_to_json(one.trajectory) | facts)

    @router.get("/api/groups/{group_id:path}")
    async def download_group(group_id: str) -> JSONResponse:
        try:
            group = await asyncio.to_thread(find_group, watch.index, group_id)
        except NotStored as error:
            raise HTTPException(404, str(error)) from error
        return _file(group_id, group_to_json(group))

    return router


def run_json(watch: RunWatch) -> dict[str, Any]:
    """Where the run stands."""
    with watch.lock:
        steps = watch.curves.steps
        last = {name: watch.curves.get(name).last for name in watch.curves.names}
        step = steps[-1] if steps else 0
    return {
        "run": watch.files.name,
        "state": watch.health.state,
        "live": watch.health.live,
        "step": step,
        "trajectories": watch.index.snapshot.table.num_rows,
        "curves": last,
        "problems": list(watch.index.snapshot.problems),
    }


def result_json(result: SearchResult) -> dict[str, Any]:
    """A page of what a query found."""
    return {
        "found": result.found,
        "total": result.total,
        "trajectories": [row_json(row) for row in result.rows],
    }


def row_json(row: ResultRow) -> dict[str, Any]:
    """One found trajectory."""
    names = (
        "trajectory_id", "group_id", "sample_index", "task_id", "status", "solved", "reward",
        "turns", "tokens", "seconds", "worker", "oldest_version", "newest_version", "state",
        "reason", "step",
    )  # fmt: skip
    return {name: getattr(row, name) for name in names}


def _file(name: str, record: dict[str, Any]) -> JSONResponse:
    """A JSON object that browsers save."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
    disposition = f'attachment; filename="{safe}.json"'
    return JSONResponse(record, headers={"content-disposition": disposition})

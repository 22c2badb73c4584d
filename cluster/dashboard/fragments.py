"""What the page's script fetches: parts of the page as HTML."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from redline.cluster.dashboard.viewer import Viewer


def make_fragments(viewer: Viewer) -> APIRouter:
    """The routes of one run's viewer, which reads the store in another thread."""
    router = APIRouter()

    @router.get("/fragments/results", response_class=HTMLResponse)
    async def results(request: Request) -> str:
        opened = request.query_params.get("opened", "")
        return await asyncio.to_thread(viewer.results, request.query_params, opened)

    @router.get("/fragments/trajectories/{trajectory_id:path}", response_class=HTMLResponse)
    async def trajectory(trajectory_id: str, request: Request) -> str:
        return await asyncio.to_thread(viewer.trajectory, trajectory_id, request.query_params)

    @router.get("/fragments/compare", response_class=HTMLResponse)
    async def compare(left: str, right: str) -> str:
        return await asyncio.to_thread(viewer.compare, left, right)

    return router

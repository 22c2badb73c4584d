"""The pages: NiceGUI's layout around charts that it updates and HTML that is rendered here."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fastapi import Request
from nicegui import app, ui

from redline.cluster.dashboard import rendering
from redline.cluster.dashboard.failure_counts import failure_counts
from redline.cluster.dashboard.fleet import fleet_view
from redline.cluster.dashboard.overview import drops, endings, failures, tiles
from redline.cluster.dashboard.panel_feed import Chart, PanelFeed
from redline.cluster.dashboard.panels import LEADING, PANELS, Panel
from redline.cluster.dashboard.search import facets
from redline.cluster.dashboard.viewer import Viewer
from redline.cluster.dashboard.watch import RunWatch

STATIC = "/static"
_FOLDER = Path(__file__).parent / "static"
_SECONDS = 1.0
"""Between two updates of an open page."""
_DEADLINE = 60.0
"""Seconds in which a page must be built, however busy the machine."""
_THEMES = {"dark": True, "light": False}


def register_pages(watch: RunWatch, viewer: Viewer) -> None:
    """Make the pages of one run. What they show is read in other threads."""
    app.add_static_files(STATIC, _FOLDER, max_cache_age=0)
    feed = PanelFeed(watch)
    name = watch.files.name
    patient = {"response_timeout": _DEADLINE}

    @ui.page("/", title=f"{name} · redline", **patient)
    async def overview(request: Request) -> None:
        charts = await asyncio.to_thread(feed.read)
        _frame(watch, request, "overview")
        _Overview(watch, feed, charts)

    @ui.page("/trajectories", title=f"trajectories of {name} · redline", **patient)
    async def trajectories(request: Request) -> None:
        content = await asyncio.to_thread(viewer.page, request.query_params)
        _viewer(watch, request, content)

    @ui.page("/trajectories/{trajectory_id:path}", title=f"trajectory · {name}", **patient)
    async def trajectory(trajectory_id: str, request: Request) -> None:
        content = await asyncio.to_thread(viewer.page, request.query_params, trajectory_id)
        _viewer(watch, request, content)

    @ui.page("/compare", title=f"comparison of {name} · redline", **patient)
    async def compare(request: Request, left: str = "", right: str = "") -> None:
        content = await asyncio.to_thread(viewer.page, {}, left or right, right or left)
        _viewer(watch, request, content)


def _frame(watch: RunWatch, request: Request, active: str) -> None:
    """What all pages share: style, script, header and theme."""
    ui.add_head_html(f'<link rel="stylesheet" href="{STATIC}/dashboard.css">')
    ui.add_body_html(f'<script type="module" src="{STATIC}/viewer.js"></script>')
    ui.dark_mode(_THEMES.get(request.cookies.get("redline_theme", "")))
    with ui.header().classes("bar"), ui.element("nav").props('aria-label="pages"'):
        ui.label("redline").classes("brand")
        for name, path in (("overview", "/"), ("trajectories", "/trajectories")):
            link = ui.link(name, path)
            if name == active:
                link.props('aria-current="page"')
        ui.label(watch.files.name).classes("run")
        state = ui.label().classes("state").props('role="status"')
        ui.element("button").props('type="button" data-theme aria-label="dark or light"').classes(
            "icon theme"
        )

    def update() -> None:
        state.set_text(watch.health.state)
        state.classes(replace=f"state {'good' if watch.health.good else 'bad'}")

    update()
    ui.timer(_SECONDS, update)


def _viewer(watch: RunWatch, request: Request, content: str) -> None:
    _frame(watch, request, "trajectories")
    ui.html(content, sanitize=False).classes("page")


class _Overview:
    """The first page of one browser, kept up to date."""

    def __init__(self, watch: RunWatch, feed: PanelFeed, charts: Sequence[Chart]) -> None:
        self._watch = watch
        self._feed = feed
        self._seen = -1
        self._tiles = ui.html(self._render_tiles(), sanitize=False).classes("page")
        self._shown = _add_charts(PANELS[:LEADING], charts[:LEADING])
        self._tables = ui.html(self._render_tables(), sanitize=False).classes("page tables")
        self._shown += _add_charts(PANELS[LEADING:], charts[LEADING:])
        ui.timer(_SECONDS, self._update)

    async def _update(self) -> None:
        """Send what changed since the last time."""
        if self._seen == self._watch.revision:
            return
        self._seen = self._watch.revision
        self._tiles.set_content(self._render_tiles())
        self._tables.set_content(self._render_tables())
        charts = await asyncio.to_thread(self._feed.read)
        for i, chart in enumerate(charts):
            before, drawn, now = self._shown[i]
            if chart is not before:
                now.set_text(chart.now)
                drawn.options.update(chart.options)
                drawn.update()
                self._shown[i] = (chart, drawn, now)

    def _render_tiles(self) -> str:
        watch = self._watch
        with watch.lock:
            problems = failures(watch.health, watch.status, watch.curves, watch.index.snapshot)
            return rendering.render_tiles(tiles(watch.files, watch.curves, watch.status), problems)

    def _render_tables(self) -> str:
        watch = self._watch
        snapshot = watch.index.snapshot
        fleet = fleet_view(
            watch.status, snapshot.table, watch.files.isolation, live=watch.health.live
        )
        with watch.lock:
            dropped = drops(watch.curves)
        failed = failure_counts(watch.status)
        return rendering.render_tables(fleet, dropped, failed, endings(facets(snapshot)))


def _add_charts(
    panels: Sequence[Panel], charts: Sequence[Chart]
) -> list[tuple[Chart, ui.echart, ui.label]]:
    with ui.element("section").classes("page charts").props('aria-label="curves"'):
        return [
            (chart, *_add_chart(panel, chart)) for panel, chart in zip(panels, charts, strict=True)
        ]


def _add_chart(panel: Panel, chart: Chart) -> tuple[ui.echart, ui.label]:
    with ui.element("figure").classes("card"):
        with ui.element("figcaption"):
            ui.label(panel.title).classes("title")
            now = ui.label(chart.now).classes("now")
        drawn = ui.echart(dict(chart.options)).classes("chart").props('aria-hidden="true"')
    return drawn, now

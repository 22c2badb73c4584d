"""The pages: NiceGUI's layout around charts that it updates and HTML that is rendered here."""

from pathlib import Path

from fastapi import Request
from nicegui import app, ui

from redline.cluster.dashboard import rendering
from redline.cluster.dashboard.fleet import fleet_view
from redline.cluster.dashboard.overview import drops, endings, failures, tiles
from redline.cluster.dashboard.panels import PANELS, Panel, chart_options, last_value
from redline.cluster.dashboard.search import facets
from redline.cluster.dashboard.viewer import Viewer
from redline.cluster.dashboard.watch import RunWatch

STATIC = "/static"
_FOLDER = Path(__file__).parent / "static"
_SECONDS = 1.0
"""Between two updates of an open page."""
_THEMES = {"dark": True, "light": False}


def register_pages(watch: RunWatch, viewer: Viewer) -> None:
    """Make the pages of one run."""
    app.add_static_files(STATIC, _FOLDER, max_cache_age=0)

    @ui.page("/", title=f"{watch.files.name} · redline")
    def overview(request: Request) -> None:
        _frame(watch, request, "overview")
        _Overview(watch)

    @ui.page("/trajectories", title=f"trajectories of {watch.files.name} · redline")
    def trajectories(request: Request) -> None:
        _viewer(watch, request, viewer.page(request.query_params))

    @ui.page("/trajectories/{trajectory_id:path}", title=f"trajectory · {watch.files.name}")
    def trajectory(trajectory_id: str, request: Request) -> None:
        _viewer(watch, request, viewer.page(request.query_params, trajectory_id))

    @ui.page("/compare", title=f"comparison · {watch.files.name}")
    def compare(request: Request, left: str = "", right: str = "") -> None:
        _viewer(watch, request, viewer.page({}, left or right, right or left))


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

    def __init__(self, watch: RunWatch) -> None:
        self._watch = watch
        self._seen = (-1, -1)
        self._charts: list[tuple[Panel, ui.echart, ui.label]] = []
        self._tiles = ui.html(self._render_tiles(), sanitize=False).classes("page")
        with ui.element("section").classes("page charts").props('aria-label="curves"'):
            for panel in PANELS:
                self._add_chart(panel)
        self._tables = ui.html(self._render_tables(), sanitize=False).classes("page tables")
        ui.timer(_SECONDS, self._update)

    def _add_chart(self, panel: Panel) -> None:
        with ui.element("figure").classes("card"):
            with ui.element("figcaption"):
                ui.label(panel.title).classes("title")
                with self._watch.lock:
                    now = ui.label(last_value(panel, self._watch.curves)).classes("now")
                    options = chart_options(panel, self._watch.curves)
            chart = ui.echart(options).classes("chart").props('aria-hidden="true"')
        self._charts.append((panel, chart, now))

    def _update(self) -> None:
        """Send what changed since the last time."""
        watch = self._watch
        seen = (watch.revision, watch.curves_revision)
        if seen == self._seen:
            return
        self._tiles.set_content(self._render_tiles())
        self._tables.set_content(self._render_tables())
        if seen[1] != self._seen[1]:
            for panel, chart, now in self._charts:
                with watch.lock:
                    now.set_text(last_value(panel, watch.curves))
                    chart.options.update(chart_options(panel, watch.curves))
                chart.update()
        self._seen = seen

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
            return rendering.render_tables(fleet, drops(watch.curves), endings(facets(snapshot)))

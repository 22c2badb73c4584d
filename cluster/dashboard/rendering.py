"""View models as HTML fragments. Jinja escapes every value: programs and feedback are untrusted."""

from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from redline.cluster.dashboard.fleet import FleetView
from redline.cluster.dashboard.overview import CountRow, Tile
from redline.cluster.dashboard.query import Order, Query
from redline.cluster.dashboard.search import Facets, SearchResult
from redline.cluster.dashboard.trajectory_view import TrajectoryView
from redline.replay.catalog import GroupState

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
KEYS = (
    ("/", "search"),
    ("j k", "next and previous result"),
    ("Enter", "open the result"),
    ("Esc", "back to the results"),
    ("n p", "next and previous turn"),
    ("] [", "next and previous sample of the group"),
    ("c", "compare with the next sample of the group"),
    ("x", "show the tokens of all turns, or hide them"),
    ("r", "search again"),
    ("g", "go to the overview"),
    ("t", "dark or light"),
    ("?", "these keys"),
)


def render_viewer(mode: str, search: str, results: str, detail: str) -> str:
    """The viewer's three parts in one; `mode` is `list`, `trajectory` or `compare`."""
    parts = {"search": Markup(search), "results": Markup(results), "detail": Markup(detail)}
    return _render("viewer.html", mode=mode, keys=KEYS, **parts)


def render_search(query: Query, facets: Facets) -> str:
    """The search form, filled in with a query."""
    plain = query.to_parameters(text="", offset=0, limit=Query().limit)
    return _render(
        "search.html",
        query=query,
        filtered=bool(plain),
        statuses=[(str(s), f"{s} ({n:,})".replace("_", " ")) for s, n in facets.statuses],
        states=[(str(s), str(s)) for s in GroupState],
        workers=[(worker, worker) for worker in facets.workers],
        orders=[(str(order), str(order)) for order in Order if order is not Order.NEWEST],
    )


def render_results(result: SearchResult, opened: str = "") -> str:
    """A page of results; `opened` is the id of the trajectory that is shown beside them."""
    query = result.query
    later = query.offset + query.limit
    earlier = max(0, query.offset - query.limit)
    return _render(
        "results.html",
        problem="",
        result=result,
        opened=opened,
        parameters=query.to_parameters(),
        earlier=query.to_parameters(offset=earlier) if query.offset else None,
        later=query.to_parameters(offset=later) if later < result.found else None,
    )


def render_problem(problem: str) -> str:
    """In place of results: why the query cannot be answered."""
    return _render("results.html", problem=problem)


def render_trajectory(view: TrajectoryView, query: Query) -> str:
    """One trajectory; its links keep the query."""
    return _render("trajectory.html", view=view, parameters=query.to_parameters())


def render_compare(left: TrajectoryView, right: TrajectoryView) -> str:
    """Two trajectories side by side, turn by turn."""
    pairs = list(zip_longest(left.turns, right.turns))
    return _render("compare.html", left=left, right=right, pairs=pairs)


def render_nothing(problem: str = "") -> str:
    """In place of a trajectory: a hint, or why there is none."""
    return _render("nothing.html", problem=problem)


def render_tiles(tiles: Iterable[Tile], problems: Iterable[str]) -> str:
    """The top of the overview: what went wrong, and the numbers."""
    return _render("tiles.html", tiles=tiles, problems=tuple(problems))


def render_tables(
    fleet: FleetView,
    drops: Iterable[CountRow],
    failures: Iterable[CountRow],
    endings: Iterable[CountRow],
) -> str:
    """The overview's tables."""
    parts = {"drops": drops, "failures": failures, "endings": endings}
    return _render("tables.html", fleet=fleet, **parts)


def render_login(next_path: str, problem: str = "") -> str:
    """The page that asks for the token."""
    return _render("login.html", next=next_path, problem=problem)


def _render(template: str, **values: object) -> str:
    return _ENVIRONMENT.get_template(template).render(**values)

"""The trajectory viewer without a browser: addresses in, fragments of HTML out."""

from collections.abc import Mapping

from redline.cluster.dashboard import rendering
from redline.cluster.dashboard.lookup import NotStored, find
from redline.cluster.dashboard.query import Query, QueryError, parse_query
from redline.cluster.dashboard.search import facets, search
from redline.cluster.dashboard.trajectory_view import TrajectoryView, trajectory_view
from redline.cluster.dashboard.watch import RunWatch


class Viewer:
    """The viewer of one run."""

    def __init__(self, watch: RunWatch) -> None:
        self._watch = watch

    def results(self, parameters: Mapping[str, str], opened: str = "") -> str:
        """A page of results, or what is wrong with the query."""
        try:
            query = parse_query(parameters)
        except QueryError as error:
            return rendering.render_problem(str(error))
        return rendering.render_results(search(self._watch.index.snapshot, query), opened)

    def trajectory(self, trajectory_id: str, parameters: Mapping[str, str]) -> str:
        """One trajectory, or why there is none."""
        try:
            view = self._view(trajectory_id)
        except NotStored as error:
            return rendering.render_nothing(str(error))
        return rendering.render_trajectory(view, self._query(parameters))

    def compare(self, left: str, right: str) -> str:
        """Two trajectories side by side, or why not."""
        try:
            return rendering.render_compare(self._view(left), self._view(right))
        except NotStored as error:
            return rendering.render_nothing(str(error))

    def page(self, parameters: Mapping[str, str], opened: str = "", right: str = "") -> str:
        """The whole viewer: results, and beside them one trajectory or two."""
        if right:
            mode, detail = "compare", self.compare(opened, right)
        elif opened:
            mode, detail = "trajectory", self.trajectory(opened, parameters)
        else:
            mode, detail = "list", rendering.render_nothing()
        form = rendering.render_search(self._query(parameters), facets(self._watch.index.snapshot))
        return rendering.render_viewer(mode, form, self.results(parameters, opened), detail)

    def _view(self, trajectory_id: str) -> TrajectoryView:
        return trajectory_view(find(self._watch.index, trajectory_id), self._watch.texts)

    def _query(self, parameters: Mapping[str, str]) -> Query:
        """The query; a wrong one counts as none, for the results tell what is wrong with it."""
        try:
            return parse_query(parameters)
        except QueryError:
            return Query()

"""The dashboard on a store of 10,000 trajectories: first paint and search, as a user sees them.

A headless Chromium opens the viewer without a cache, as on a first visit. `first_paint` is what
the browser reports, `first_results` when the results stand in the page, `search` from the last
keystroke to the new results (the pause that the page makes while a user types included).
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from _report import arguments, print_report, ratio

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from chromium import Page, chromium
from dashboard_process import dashboard
from run_folders import NAMES, make_run

from redline.cluster.dashboard.index import TrajectoryIndex
from redline.cluster.dashboard.query import Query
from redline.cluster.dashboard.search import search

FIRST_PAINT_MS, SEARCH_MS = 2_000.0, 300.0
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_SEARCH = """new Promise(done => {
  const began = performance.now();
  const box = document.querySelector('#results');
  new MutationObserver((_, observer) => { observer.disconnect(); done(performance.now() - began); })
    .observe(box, {childList: true});
  const input = document.querySelector('#search input');
  input.value = %r;
  input.dispatchEvent(new Event('input', {bubbles: true}));
})"""


def in_browser(page: Page, url: str, rounds: int) -> dict[str, float]:
    """Medians over `rounds` visits, in milliseconds."""
    paints, results, searches = [], [], []
    page.look_like()
    page.send("Network.setCacheDisabled", cacheDisabled=True)
    for number in range(rounds):
        page.open(f"{url}trajectories?visit={number}")
        results.append(page.wait("document.querySelector('a.row') && performance.now()"))
        paints.append(page.wait(_PAINT))
        searches += [page.ask(_SEARCH % name) for name in NAMES]
    return {
        "first_paint_ms": statistics.median(paints),
        "first_results_ms": statistics.median(results),
        "search_ms": statistics.median(searches),
        "search_worst_ms": max(searches),
    }


def in_python(store: Path) -> dict[str, float]:
    """The index alone, without page and browser."""
    index = TrajectoryIndex(store)
    began = time.perf_counter()
    index.refresh()
    built = time.perf_counter()
    for _ in range(20):
        search(index.snapshot, Query(text="longest", reward_min=0.0))
    ended = time.perf_counter()
    return {
        "trajectories": index.snapshot.table.num_rows,
        "index_ms": 1e3 * (built - began),
        "index_search_ms": 1e3 * (ended - built) / 20,
    }


def main() -> int:
    """Measure and print."""
    options = arguments(__doc__ or "")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        run = make_run(Path(folder) / "runs" / "big", steps=300, groups=1_250, per_segment=50)
        figures = in_python(run / "replay")
        with dashboard(run) as (url, _), chromium(Path(folder) / "profile") as page:
            figures |= in_browser(page, url, 3 if options.quick else 10)
    ratios = {
        "first_paint": ratio(FIRST_PAINT_MS / figures["first_paint_ms"], 1.0, "2 s"),
        "first_results": ratio(FIRST_PAINT_MS / figures["first_results_ms"], 1.0, "2 s"),
        "search": ratio(SEARCH_MS / figures["search_ms"], 1.0, "300 ms"),
    }
    packages = ("redline-rl", "nicegui", "pyarrow")
    return print_report("dashboard", figures, ratios, packages, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())

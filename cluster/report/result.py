"""result.json: what a finished run says to scripts."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from redline.cluster.evaluation.evaluating import Comparison, Evaluation
from redline.cluster.files import write_atomically


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """The sums of a finished run."""

    seconds_to_first_step: float
    seconds_total: float
    peak_rss_gib: float
    probe_max_abs_dlogp: float
    steps: int
    trajectories: int
    tokens_trained: int
    isolation: str
    """Weakest tier of the run's sandboxes."""
    before: Evaluation | None
    after: Evaluation | None

    @property
    def comparison(self) -> Comparison | None:
        """What training did; None when nothing was evaluated."""
        if self.before is None or self.after is None:
            return None
        return Comparison.of(self.before, self.after)

    def as_json(self) -> dict[str, Any]:
        """The object of result.json."""
        comparison = self.comparison
        return {
            "seconds": {
                "to_first_step": round(self.seconds_to_first_step, 2),
                "total": round(self.seconds_total, 2),
            },
            "peak_rss_gib": round(self.peak_rss_gib, 3),
            "probe_max_abs_dlogp": self.probe_max_abs_dlogp,
            "steps": self.steps,
            "trajectories": self.trajectories,
            "tokens_trained": self.tokens_trained,
            "isolation": self.isolation,
            "heldout": None if comparison is None else asdict(comparison),
        }


def write_result(path: Path, summary: RunSummary) -> dict[str, Any]:
    """Write result.json and return what it says."""
    result = summary.as_json()
    write_atomically(path, json.dumps(result, indent=1) + "\n")
    return result

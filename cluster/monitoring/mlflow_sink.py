"""Curves to MLflow (`pip install mlflow`; `MLFLOW_TRACKING_URI` says where)."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from redline.cluster.config import RunConfig
from redline.cluster.files import write_atomically

_LONGEST_PARAMETER = 500
"""Characters that every MLflow server takes."""


class MlflowSink:
    """One MLflow run per training run; a resumed one goes on with it."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        import mlflow

        self._mlflow = mlflow
        place = folder / "mlflow_run"
        known = place.read_text(encoding="utf-8").strip() if place.is_file() else None
        mlflow.set_experiment(config.metrics.project)
        run = mlflow.start_run(run_id=known, run_name=config.name)
        if known is None:  # parameters cannot be changed once they are logged
            mlflow.log_params(dict(_flat(asdict(config))))
            write_atomically(place, f"{run.info.run_id}\n")

    def write(self, step: int, curves: Mapping[str, float]) -> None:
        """Add one point to each of these curves."""
        self._mlflow.log_metrics(dict(curves), step=step)

    def close(self) -> None:
        """End the MLflow run."""
        self._mlflow.end_run()


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Settings by their dotted names."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)[:_LONGEST_PARAMETER]

"""`status.json` of a run directory: what a run is doing now, for whoever watches from outside.

The driver replaces the file as a whole about once a second and after every step, so a reader finds
one whole record or none. `redline top` and `redline dashboard` read it; curves over time are in
`metrics/steps.jsonl`. Nothing here imports an engine or Ray.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from redline.cluster.errors import UserError

FILE_NAME = "status.json"
FORMAT = 1
"""Changes when a reader of the old format would misunderstand the new one."""
LATE_SECONDS = 15.0
"""A driver that wrote nothing for longer is gone or hangs."""


class RunState(StrEnum):
    """What a run does, or how it ended."""

    STARTING = "starting"
    """Until its workers serve proven weights."""
    EVALUATING = "evaluating"
    TRAINING = "training"
    FINISHED = "finished"
    STOPPED = "stopped"
    """By the user, before its last step; `--resume` goes on."""
    FAILED = "failed"
    """`problem` tells why; `--resume` goes on from the last checkpoint."""

    @property
    def over(self) -> bool:
        """Whether the driver has ended."""
        return self in (RunState.FINISHED, RunState.STOPPED, RunState.FAILED)


class WorkerState(StrEnum):
    """Whether a worker does its work."""

    STARTING = "starting"
    """It has not answered yet, or serves no proven weights yet."""
    SERVING = "serving"
    SILENT = "silent"
    """It did not answer in time; its last numbers stay."""
    LOST = "lost"
    """Its process is gone or must be replaced; `problem` tells why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """One worker as it was last heard of."""

    name: str
    """Such as `sampler-0`."""
    role: str
    """`sampler`, `sandbox`, `replay` or `learner`."""
    state: WorkerState
    node: str = ""
    """Address of its machine; empty until it told."""
    version: int | None = None
    """Weight version that a sampler serves or the learner has reached."""
    problem: str = ""
    numbers: dict[str, float] = field(default_factory=dict)
    """What it told about itself, by name: counts since its start, and what runs or waits now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One number of the system, as Prometheus has it without the prefix `ray_`."""

    name: str
    """A name of docs/metrics.md; counters without `_total`."""
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """All of a run at one moment."""

    run: str
    state: RunState
    pid: int
    """Process of the driver, on `host`."""
    host: str
    attempt: int
    """Counted from 1; each --resume is one more."""
    started_at: float
    """Start of this attempt; seconds since 1970, as all times here."""
    written_at: float
    steps: int
    """Steps that the run is to take."""
    step: int = 0
    """Steps that were taken, those of earlier attempts included."""
    step_at: float = 0.0
    """End of the last step of this attempt; 0 before the first."""
    version: int = 0
    """Weight version of the learner."""
    phases: list[str] = field(default_factory=list)
    """What goes on besides training, such as `starting workers`."""
    waiting_for: list[str] = field(default_factory=list)
    """Workers that a phase waits for."""
    problem: str = ""
    """Why the run failed."""
    trajectories: int = 0
    """Trained on since step 1."""
    tokens: int = 0
    """Trained on since step 1."""
    curves: dict[str, float] = field(default_factory=dict)
    """Every curve's value at the last step, by its name in TensorBoard and in steps.jsonl."""
    workers: list[WorkerStatus] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    """Every number of docs/metrics.md that is known by now."""

    def age(self, now: float | None = None) -> float:
        """Seconds since it was written."""
        return (time.time() if now is None else now) - self.written_at

    def late(self, now: float | None = None) -> bool:
        """Whether the driver should have written again: it was killed, or hangs."""
        return not self.state.over and self.age(now) > LATE_SECONDS

    def value(self, name: str, **labels: str) -> float | None:
        """Sum of the samples of a name that have these labels; None when there is none."""
        found = [
            sample.value
            for sample in self.samples
            if sample.name == name and sample.labels.items() >= labels.items()
        ]
        return sum(found) if found else None


def write_status(folder: Path, status: RunStatus) -> None:
    """Replace a run's status as a whole.

    Not made durable: after a crash of the machine an old record does as well as none. Numbers that
    are not finite are left out: JSON has no way to write them.
    """
    record = json.dumps(to_json(status), allow_nan=False)
    temporary = folder / f".{FILE_NAME}.tmp"
    temporary.write_text(record, encoding="utf-8")
    temporary.replace(folder / FILE_NAME)


def to_json(status: RunStatus) -> dict[str, Any]:
    """The status as one JSON object."""
    record = {"format": FORMAT, **asdict(status)}
    record["curves"] = _finite(record["curves"])
    record["samples"] = [each for each in record["samples"] if math.isfinite(each["value"])]
    for worker in record["workers"]:
        worker["numbers"] = _finite(worker["numbers"])
    return record


def read_status(folder: Path) -> RunStatus:
    """The status of the run in a folder; UserError when there is no run, or it left no status."""
    path = folder / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(_why_missing(folder)) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return status_from_json(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is no status of a run ({type(error).__name__}: {error}): expected format "
            f"{FORMAT}; it was written by another release, or not by redline"
        ) from error


def status_from_json(record: Mapping[str, Any]) -> RunStatus:
    """The status in a JSON object; ValueError, KeyError or TypeError when it is none."""
    values = dict(record)
    if (found := values.pop("format", None)) != FORMAT:
        raise ValueError(f"format is {found!r}")
    values["state"] = RunState(values["state"])
    values["workers"] = [
        WorkerStatus(**{**each, "state": WorkerState(each["state"])}) for each in values["workers"]
    ]
    values["samples"] = [Sample(**each) for each in values["samples"]]
    return RunStatus(**values)


def find_run(run: str, root: Path) -> Path:
    """The folder of a run, named or given by its path; UserError when there is none."""
    for folder in (Path(run), root / run):
        if (folder / "config.yaml").is_file():
            return folder
    for folder in (Path(run), root / run):
        if folder.is_dir():
            raise UserError(f"{folder} is no run directory: it has no config.yaml")
    known = sorted(path.parent.name for path in root.glob("*/config.yaml"))
    listed = f"; there are {', '.join(known[-8:])}" if known else ""
    raise UserError(f"no run {run!r}: neither a folder nor a name in {root}{listed}")


def _finite(numbers: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _why_missing(folder: Path) -> str:
    if not folder.is_dir():
        return f"no run directory at {folder}"
    if not (folder / "config.yaml").is_file():
        return f"{folder} is no run directory: it has no config.yaml"
    return (
        f"run {folder.name!r} at {folder} has no {FILE_NAME}: it has not started yet, or an older "
        "release trained it; `redline replay ls` and TensorBoard still read it"
    )

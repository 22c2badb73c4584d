"""Demonstrations per second from references, every one executed step by step and verified.

References are MBPP's training programs where REDLINE_SHARED_DATA names the folder that holds
`mbpp/mbpp.jsonl`, else those of built-in tasks. The bar is the rate at which the 37,400
demonstrations of Rainone et al. (arXiv 2507.05065) take about four minutes on two cores.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from _report import arguments, print_report, ratio

from redline.cluster.demos.plan import CORRUPTION, DemoPlan
from redline.cluster.demos.run import DemoWork, make_demonstration_file
from redline.cluster.judging import local_workers
from redline.dsl.generator import generate_tasks
from redline.dsl.settings import CorruptionSettings
from redline.dsl.splits import tasks_to_train_on
from redline.dsl.task_files import read_task_file
from redline.dsl.tasks import RepairTask
from redline.sandbox.settings import SandboxSettings

PER_SECOND = 150.0


def references(count: int) -> list[RepairTask]:
    """Tasks with a reference, spread over all there are."""
    folder = os.environ.get("REDLINE_SHARED_DATA")
    if folder is None:
        made = generate_tasks(count=count, seed=0, judge=_never_run)
        return [replace(each.task, broken="") for each in made]
    tasks = tasks_to_train_on(read_task_file(Path(folder) / "mbpp" / "mbpp.jsonl").tasks)
    return [tasks[number * len(tasks) // count] for number in range(count)]


def _never_run(tasks: Sequence[RepairTask], programs: Sequence[str]) -> list[bool]:
    """The broken programs of the generator are not used here."""
    return [False] * len(tasks)


def main() -> int:
    """Measure and report."""
    options = arguments(__doc__ or "")
    tasks = references(20 if options.quick else 100)
    plan = DemoPlan(
        method=CORRUPTION,
        corruption=CorruptionSettings(order="random"),
        sandbox=SandboxSettings(cpu_seconds=0.5),
    )
    work = DemoWork(tasks=tuple(tasks), plan=plan, workers=local_workers())
    with tempfile.TemporaryDirectory() as folder:
        found = make_demonstration_file(Path(folder) / "demos.arrow", work)
    figures = {
        name: float(found[name])
        for name in ("demonstrations", "executions", "per_second", "mean_edit_distance")
    }
    rate = ratio(found["per_second"] / PER_SECOND, 1.0, f"{PER_SECOND:.0f} demonstrations/s")
    packages = ("redline-rl", "pyarrow")
    return print_report("demonstrations", figures, {"rate": rate}, packages, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())

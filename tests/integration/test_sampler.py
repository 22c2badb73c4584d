"""A sampler with a real engine and a real sandbox: what it hands out is consistent and it ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from redline.actors.batching import BatchingSandboxClient
from redline.actors.evaluation import evaluate
from redline.actors.evaluation_summary import summarise
from redline.actors.sampler import Sampler
from redline.actors.sandbox_actor import SandboxActor
from redline.actors.settings import EngineSettings, RolloutSettings, SamplingSettings
from redline.dsl.tasks import RepairTask
from redline.replay.encode import group_to_batch
from redline.replay.records import TrajectoryStatus
from redline.sandbox.settings import SandboxSettings

from .policies import change, load, logprobs, make_policy, weight_update

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROBE = [0, *range(40, 60)]
ROLLOUT = RolloutSettings(
    concurrent_episodes=24,
    group_size=4,
    max_turns=3,
    sampling=SamplingSettings(max_command_tokens=16),
    engine=EngineSettings(
        dtype="float32", max_model_len=512, max_num_seqs=32, kv_cache_gib=0.25, enforce_eager=True
    ),
)


def tasks(count: int) -> list[RepairTask]:
    return [
        RepairTask(
            task_id=f"t{i}",
            prompt=f"Add {i} to a.",
            broken=f"def f(a):\n    return a - {i}",
            tests=(f"assert f(1) == {1 + i}",),
            entry_point="f",
            source=f"builtin/{'even' if i % 2 == 0 else 'odd'}",
        )
        for i in range(1, count + 1)
    ]


def test_groups_are_consistent_while_weights_change(tmp_path):
    folder = make_policy(tmp_path / "policy", tied=True)
    model = load(folder)

    async def main():
        sandbox = SandboxActor(SandboxSettings(workers_per_actor=1))
        sampler = Sampler(
            model_path=str(folder),
            rollout=ROLLOUT,
            sandbox=BatchingSandboxClient(sandbox),
            name="s",
            version=None,
        )
        try:
            await asyncio.gather(sandbox.start(), sampler.start())
            first, contents = weight_update(model, 0, PROBE)
            await sampler.update_weights(first, *contents)
            running = [
                asyncio.ensure_future(sampler.sample_group(t, group_id=f"g/{t.task_id}"))
                for t in tasks(10)
            ]
            await asyncio.sleep(0.3)
            change(model, 1)
            second, contents = weight_update(model, 1, PROBE)
            receipt = await sampler.update_weights(second, *contents)
            groups = await asyncio.gather(*running)
            later = await evaluate(
                [sampler],
                tasks(4),
                name="e",
                samples=2,
                sampling=SamplingSettings(temperature=0.0, max_command_tokens=16),
                max_turns=2,
            )
            return groups, later, receipt, await sampler.stats(), await sandbox.stats()
        finally:
            await sampler.close()
            await sandbox.close()

    groups, later, receipt, stats, executions = asyncio.run(main())
    assert receipt.max_abs_dlogp <= ROLLOUT.probe_tolerance
    assert (stats.groups, stats.episodes, stats.aborted, stats.running) == (14, 48, 0, 0)
    assert executions.executions >= 10, "every broken program was judged, once for its group"
    for group in groups:
        assert group_to_batch(group) is not None, "it can be stored"
        assert len(group.trajectories) == 4
        for trajectory in group.trajectories:
            assert trajectory.status is not TrajectoryStatus.ABORTED
            assert {int(v) for t in trajectory.turns for v in t.weight_versions} <= {0, 1}
    _check_probabilities(model, later)
    greedy = summarise(later, tasks(4))
    assert greedy.rate.tasks == 4
    for first, second in zip(later[::2], later[1::2], strict=True):
        assert [t.action_text for t in first.turns] == [t.action_text for t in second.turns]


def _check_probabilities(model, trajectories) -> None:
    """A whole trajectory scored at once gives what was recorded turn by turn."""
    for trajectory in trajectories:
        tokens = np.concatenate(
            [x for t in trajectory.turns for x in (t.state_token_ids, t.action_token_ids)]
        )
        recorded = np.concatenate(
            [
                x
                for t in trajectory.turns
                for x in (np.full(len(t.state_token_ids), np.nan), t.rollout_logprobs)
            ]
        )[1:]
        known = ~np.isnan(recorded)
        np.testing.assert_allclose(recorded[known], logprobs(model, tokens)[known], atol=1e-3)


_SCRIPT = """
import asyncio, sys
from redline.actors.engine import PolicyEngine
from redline.actors.settings import EngineSettings

async def main():
    engine = await PolicyEngine.start(sys.argv[1], EngineSettings(
        dtype="float32", max_model_len=256, kv_cache_gib=0.1, enforce_eager=True))
    print("ready", flush=True)
    await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_killed_sampler_leaves_no_engine_behind(tmp_path):
    folder = make_policy(tmp_path / "policy", tied=True)
    script = tmp_path / "serve.py"
    script.write_text(_SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        while (line := process.stdout.readline()) and line != "ready\n":
            pass
        children = psutil.Process(process.pid).children(recursive=True)
        assert children, "there is an engine process"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    end = time.monotonic() + 20
    while time.monotonic() < end and any(_runs(child) for child in children):
        time.sleep(0.2)
    assert [child for child in children if _runs(child)] == []


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

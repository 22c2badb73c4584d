"""Kinds of samplers beside the first: configured, placed, given groups by their share, and lost."""

import asyncio
from types import SimpleNamespace

import pytest
from cluster_fakes import make_tasks
from worker_fakes import World, make_scaler

from redline.cluster.checks.plan import plan_figures, plan_text
from redline.cluster.checks.resources import (
    Offer,
    check_memory,
    check_placeable,
    local_resources,
    needs_of,
)
from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.fleet import Rollouts
from redline.cluster.load import load_config, load_saved, to_yaml
from redline.cluster.monitoring.definitions import Role
from redline.cluster.resuming import resumed_config
from redline.cluster.sampler_kinds import sampler_kinds, with_counts
from redline.cluster.simulating import start_simulated
from redline.cluster.workers.making import make_scaler as make_run_scaler
from redline.replay.records import Probe, WeightUpdate

(TASK,) = make_tasks(1)
CPU = (
    "rollout.samplers=3", "rollout.num_cpus=2", "rollout.num_gpus=1",
    "rollout.resources.redline_sampler=1", "rollout.engine.kv_cache_gib=3",
    "rollout.kinds.cpu.samplers=2", "rollout.kinds.cpu.share=0.25", "rollout.kinds.cpu.num_gpus=0",
    "rollout.kinds.cpu.resources.redline_cpu=1", "rollout.kinds.cpu.engine.dtype=bfloat16",
    "rollout.kinds.cpu.probe_tolerance=0.1",
)  # fmt: skip


def configured(*overrides):
    return load_config("demo", [*CPU, *overrides])


def test_what_a_kind_does_not_give_is_as_in_rollout_but_its_count_share_and_resources():
    first, cpu = sampler_kinds(configured("rollout.kinds.cpu.samplers=5"))
    assert (first.worker, first.fleet, first.section) == ("sampler", "samplers", "rollout")
    assert (cpu.worker, cpu.fleet, cpu.section) == (
        "sampler-cpu", "cpu_samplers", "rollout.kinds.cpu",
    )  # fmt: skip
    assert first.config.rollout.samplers == 3
    rollout = cpu.config.rollout
    assert (rollout.samplers, rollout.share, rollout.probe_tolerance) == (5, 0.25, 0.1)
    assert (rollout.num_cpus, rollout.num_gpus) == (2, 0)
    assert rollout.resources == {"redline_cpu": 1}
    assert (rollout.engine.dtype, rollout.engine.kv_cache_gib) == ("bfloat16", 3)
    assert rollout.group_size == first.config.rollout.group_size
    (_, plain) = sampler_kinds(load_config("demo", ["rollout.kinds.more={}", "rollout.samplers=9"]))
    assert plain.config.rollout.samplers == 1


def test_a_saved_run_keeps_its_kinds_and_the_counts_that_were_asked_for(tmp_path):
    config = with_counts(configured(), {"cpu_samplers": 4, "samplers": 1, "sandboxes": 3})
    assert [kind.config.rollout.samplers for kind in sampler_kinds(config)] == [1, 4]
    assert config.sandbox.actors == 3
    folder = tmp_path / config.name
    folder.mkdir()
    saved = folder / "config.yaml"
    saved.write_text(to_yaml(config))
    assert load_config(str(saved)) == load_saved(saved) == config
    here = with_counts(config, {})
    here.run_root = str(tmp_path)
    resumed = resumed_config(here, ["rollout.kinds.cpu.samplers=1", "rollout.kinds.new={}"])
    assert [kind.worker for kind in sampler_kinds(resumed)] == [
        "sampler", "sampler-cpu", "sampler-new",
    ]  # fmt: skip
    assert resumed.rollout.kinds["cpu"].samplers == 1
    saved.write_text(to_yaml(config).replace("      share:", "      of_tomorrow: 1\n      share:"))
    assert load_saved(saved) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rollout.kinds.Cpu.samplers=1", "'Cpu' must start with a small letter"),
        ("rollout.kinds.0.samplers=1", "'0' must start with a small letter"),
        ("rollout.kinds.cpu.samplers=0", "rollout.kinds.cpu.samplers=0: expected at least 1"),
        ("rollout.kinds.cpu.share=0", "rollout.kinds.cpu.share=0.0: expected more than 0"),
        ("rollout.kinds.cpu.resources.GPU=1", "rollout.kinds.cpu.resources.GPU: CPUs and GPUs"),
        ("rollout.kinds.cpu.engine.max_model_len=64", "max_model_len=64 is not rollout.engine.max"),
        ("rollout.kinds.cpu.engine.kv_cache_gb=1", "mean 'rollout.kinds.cpu.engine.kv_cache_gib'"),
        ("rollout.kinds.cpu.group_size=1", "unknown key 'rollout.kinds.cpu.group_size'"),
        ("rollout.kinds.cpu.engine.max_num_seqs=many", "Value 'many'"),
        ("rollout.kinds.cpu=3", "rollout.kinds.cpu=3: "),
    ],
)
def test_what_no_kind_can_be_is_refused(override, message):
    with pytest.raises(UserError) as caught:
        configured(override)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["weights.transport=nccl"], "'nccl' moves weights between GPUs, but rollout.kinds.cpu."),
        (["weights.transport=ipc"], "'ipc' moves weights between GPUs, but rollout.kinds.cpu."),
        (
            ["weights.transport=nccl", "rollout.kinds.cpu.num_gpus=0.5"],
            "whole GPU for each process, but rollout.kinds.cpu.num_gpus=0.5",
        ),
        (
            ["weights.transport=ipc", "rollout.kinds.cpu.num_gpus=1",
             "rollout.kinds.cpu.engine.tensor_parallel_size=2"],
            "rollout.kinds.cpu.engine.tensor_parallel_size=2",
        ),
        (
            ["weights.transport=ipc", "rollout.kinds.cpu.num_gpus=0.3", "rollout.samplers=1",
             "rollout.num_gpus=0.2", "learner.num_gpus=0.5"],
            "are 1.3 together",
        ),
    ],
)  # fmt: skip
def test_weights_that_cannot_get_to_a_kind_are_refused(overrides, message):
    with pytest.raises(UserError) as caught:
        configured("ray.address=auto", "learner.num_gpus=1", *overrides)
    assert message in str(caught.value)


def test_every_kind_asks_for_a_place_of_its_own():
    config = configured()
    cpu = next(need for need in needs_of(config) if need.kind == "sampler-cpu")
    assert (cpu.count, cpu.num_cpus, cpu.num_gpus, cpu.resources) == (2, 2, 0, {"redline_cpu": 1})
    assert local_resources(config) == {"redline_sampler": 3, "redline_cpu": 2}
    shared = local_resources(configured("learner.resources.redline_cpu=0.25"))
    assert shared == {"redline_sampler": 3, "redline_cpu": 3}, "announced in whole ones"
    node = Offer(
        node="n", num_cpus=99, num_gpus=9, resources={"redline_sampler": 3, "redline_cpu": 1}
    )
    with pytest.raises(UserError, match="no place for sampler-cpu 2 of 2"):
        check_placeable(needs_of(config), [node])
    at_once = plan_figures(configured("max_staleness=99"))["episodes_at_once_at_most"]
    assert at_once == 5 * config.rollout.concurrent_episodes
    assert "sampler-cpu 2 x 2 + 0" in plan_text(config)


def test_the_engines_of_each_kind_on_cpus_count_for_memory(monkeypatch):
    memory = SimpleNamespace(available=10 * 2**30)
    monkeypatch.setattr("redline.cluster.checks.resources.psutil.virtual_memory", lambda: memory)
    config = configured("rollout.kinds.cpu.engine.kv_cache_gib=2")
    check_memory(config, samplers={"samplers": 9, "cpu_samplers": 2, "sandboxes": 9}, learners=1)
    message = "3 engines with rollout.kinds.cpu.engine.kv_cache_gib=2, 1 learners need about 12.0"
    with pytest.raises(UserError, match=message):
        check_memory(config, samplers={"samplers": 9, "cpu_samplers": 3}, learners=1)
    two = load_config("demo", ["rollout.kinds.more.engine.kv_cache_gib=7"])
    with pytest.raises(UserError, match=r"rollout.engine.*, 1 engines with rollout.kinds.more"):
        check_memory(two, samplers={"samplers": 1, "more_samplers": 1}, learners=0)


def run(work, **world):
    async def main():
        async with World(**world) as made:
            return await work(made)

    return asyncio.run(main())


def test_groups_go_to_all_kinds_by_their_share_and_all_prove_each_version():
    async def work(world):
        world.seconds = 3600
        receipts = await world.push(3)
        names = ["sampler-0", "sampler-1", "sampler-cpu-0"]
        assert sorted(receipt.worker for receipt in receipts) == names
        rollouts = [asyncio.ensure_future(world.samplers.roll_out(TASK, f"g{n}")) for n in range(9)]
        await world.until(lambda: len(world.begun) == 9)
        assert [len(world.workers[name].groups) for name in names] == [4, 4, 1]
        assert len(await world.samplers.in_flight()) == 3, "from each"
        assert sorted(member.name for member in world.samplers.members) == names
        await world.push(4)
        assert {world.workers[name].version for name in names} == {4}
        for worker in world.workers.values():
            worker.changed.set()
        await asyncio.gather(*rollouts)
        assert set(world.store.values()) == set(names)
        assert len(world.samplers.each()) == 2, "a quarter of one is none more"

    run(work, kinds={"cpu": (1, 0.25)})


def test_a_kind_is_scaled_for_itself():
    async def work(world):
        await world.push(0)
        scaler = make_scaler(world, cpus=9.0)
        state = await scaler.answer({"scale": {"cpu_samplers": 2}})
        assert [(name, fleet["target"]) for name, fleet in state.items()] == [
            ("samplers", 2), ("cpu_samplers", 2), ("sandboxes", 1),
        ]  # fmt: skip
        await world.until(lambda: "sampler-cpu-1" in world.serving())
        assert world.workers["sampler-cpu-1"].version == 0
        with pytest.raises(UserError, match=r"no place for sampler-cpu 2 of 2"):
            await scaler.scale({"cpu_samplers": 4})
        with pytest.raises(UserError, match="expected samplers or cpu_samplers or sandboxes"):
            await scaler.scale({"gpu_samplers": 1})
        await scaler.scale({"cpu_samplers": 1})
        await world.until(lambda: len(world.serving()) == 3)

    run(work, kinds={"cpu": (1, 1.0)})


def test_the_rooms_memory_is_asked_for_with_every_kind(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "redline.cluster.workers.making.check_memory", lambda *_, **counts: asked.append(counts)
    )

    async def work(world):
        cluster = SimpleNamespace(offers=lambda: [Offer(node="n", num_cpus=99, num_gpus=9)])
        config = load_config("demo", ["rollout.kinds.cpu={}"])
        scaler = make_run_scaler(world.rollouts, cluster, config, tell=world.lines.append)
        await scaler.scale({"samplers": 3, "cpu_samplers": 3})

    run(work, kinds={"cpu": (1, 1.0)})
    assert asked == [{"samplers": {"samplers": 1, "cpu_samplers": 2}, "learners": 0}]


def test_a_kind_of_which_nobody_is_left_leaves_the_run_to_the_others_until_it_is_scaled():
    async def work(world):
        await world.push(0)
        first, cpu = world.samplers.fleets
        cpu._budget.restarts = 0
        world.workers["sampler-cpu-0"].kill()
        await world.until(lambda: cpu.problem)
        assert any("sampler-cpu-0 is lost: was killed; it is not repl" in x for x in world.lines)
        await world.samplers.roll_out(TASK, "g")
        assert world.store == {"g": "sampler-0"}
        await make_scaler(world).scale({"cpu_samplers": 1})
        await world.until(lambda: "sampler-cpu-1" in world.serving())

        first._budget.restarts = 0
        for name in ("sampler-0", "sampler-cpu-1"):
            world.workers[name].kill()
        failure = await world.rollouts.failure()
        assert "no sampler is left: sampler-0" in failure
        assert "no sampler-cpu is left: sampler-cpu-1" in failure
        with pytest.raises(WorkFailed, match="no sampler-cpu is left"):
            await world.samplers.roll_out(TASK, "h")

    run(work, samplers=1, kinds={"cpu": (1, 1.0)})


def test_replacements_of_all_kinds_are_counted_as_samplers():
    async def work(world):
        await world.push(0)
        for name in ("sampler-0", "sampler-cpu-0", "sandbox-0"):
            world.workers[name].kill()
        await world.until(lambda: len(world.workers) == 7)
        assert Rollouts(rollouts=world.rollouts).restarts() == {Role.SAMPLER: 2, Role.SANDBOX: 1}

    run(work, kinds={"cpu": (1, 1.0)})


def test_simulated_samplers_may_be_of_several_kinds_too():
    config = load_config(
        "demo",
        ["rollout.simulation.source=builtin", "rollout.simulation.speed=1000000", "eval.tasks=0",
         "rollout.kinds.slow.concurrent_episodes=1"],
    )  # fmt: skip
    stored = []

    async def main():
        async def append(group):
            stored.append(group)

        samplers = await start_simulated(config, append)
        update = WeightUpdate(
            version=1, transport="object_store", manifest=(), buckets=(), adapter=(),
            probe=Probe(token_ids=(), logprobs=()),
        )  # fmt: skip
        await samplers.push(SimpleNamespace(version=1, update=update))
        await asyncio.gather(*(samplers.roll_out(TASK, f"g{n}") for n in range(4)))
        for fleet in samplers.fleets:
            await fleet.close()

    asyncio.run(main())
    workers = {group.trajectories[0].worker for group in stored}
    assert workers == {"sampler-0", "sampler-slow-0"}

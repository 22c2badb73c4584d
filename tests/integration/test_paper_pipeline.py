"""The paper's pipeline by its presets, from problems as published to an evaluation in three arms.

Demonstrations of published problems, supervised tuning on them, reinforcement, evaluation. The
model is replaced by a tiny random Llama with an instruct model's chat template, sizes and resources
are cut, and all else is as in the presets.
"""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from chat_policies import make_instruct_model
from published import write_problems
from redline_driving import Driver, kill_drivers

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(3000)]

DEMOS = ("--split", "train", "--per-task", "4", "--tokenizer", "./model")
CUT_SFT = (
    "demonstrations=demos.arrow", "sft.batch_tokens=8192", "sft.micro_batch_tokens=4096",
    "sft.evaluate_every=2", "sft.solve_tasks=2", "sft.threads=2", "sft.heldout_fraction=0.2",
)  # fmt: skip
CUT = (
    "tasks.train_count=16", "tasks.heldout_count=4", "tasks.heldout_family_count=0",
    "eval.tasks=4", "eval.samples=2", "eval.max_turns=3",
    "eval.answer_tokens=40", "eval.thinking_tokens=24",
    "rollout.num_gpus=0", "rollout.num_cpus=0.9", "rollout.engine.dtype=float32",
    "rollout.engine.kv_cache_gib=0.25", "rollout.engine.enforce_eager=true",
    "rollout.sampling.max_command_tokens=24",
    "learner.num_gpus=0", "learner.num_cpus=0.9", "learner.dtype=float32",
    "learner.groups_per_step=2", "learner.optimizer.learning_rate=0.01",
    "learner.loss.no_signal=keep", "learner.loss.entropy_coef=0.1",
    "sandbox.workers_per_actor=2", "sandbox.num_cpus=0.2",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _no_driver_left():
    yield
    kill_drivers()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which all commands have run."""
    where = tmp_path_factory.mktemp("paper")
    make_instruct_model(where / "model")
    write_problems(where / "mbpp.jsonl", [1, 2, 3, 11, *range(601, 607)])
    _run(where, "demos", "tasks", "demos", "--data", "mbpp.jsonl", *DEMOS,
         "--output", "demos.arrow", "--json")  # fmt: skip
    _run(where, "sft", "sft", "--config", "paper_llama_1b_sft", "model=./model",
         "output=tuned", *CUT_SFT, "--json")  # fmt: skip
    _run(where, "train", "train", "--config", "paper_llama_1b", "model=./tuned", "steps=2",
         "checkpoint_every=2", "name=paper", *CUT, "--json")  # fmt: skip
    _run(where, "eval", *_evaluation())
    return where


def _evaluation():
    return (
        "eval", "runs/paper", "--config", "paper_llama_1b", "--arms", "coe,direct,thinking",
        "--output", "evaluation", *CUT, "--json",
    )  # fmt: skip


def _run(where, name, *arguments):
    driver = Driver(*arguments, cwd=where)
    status = driver.finish(1500)  # a minute on idle cores; the bound is for a busy machine
    (where / f"{name}.err").write_text(driver.complaint())
    assert status == 0, driver.complaint()
    (where / f"{name}.json").write_text(json.dumps(driver.result()))


def said(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


def changed(before, after):
    """Names of the weights in which two policies differ."""
    from safetensors.torch import load_file

    old, new = (load_file(folder / "model.safetensors") for folder in (before, after))
    assert {name: t.shape for name, t in old.items()} == {name: t.shape for name, t in new.items()}
    return {name for name in old if not old[name].equal(new[name])}


def linear_layers(folder):
    from transformers import AutoConfig

    parts = ["self_attn." + p for p in ("q_proj", "k_proj", "v_proj", "o_proj")]
    parts += ["mlp." + p for p in ("gate_proj", "up_proj", "down_proj")]
    layers = range(AutoConfig.from_pretrained(folder / "model").num_hidden_layers)
    return {f"model.layers.{layer}.{part}.weight" for layer in layers for part in parts}


def test_demonstrations_are_what_is_tuned_on(folder):
    figures = said(folder, "demos")
    assert (figures["tasks"], figures["demonstrations"]) == (6, 24)
    assert figures["tokens"] > 0
    assert "reading demonstrations from demos.arrow" in (folder / "sft.err").read_text()


def test_supervised_tuning_trains_adapters_and_writes_merged_weights(folder):
    result = said(folder, "sft")
    assert result["demonstrations"] == 24
    assert result["heldout_loss"] > 0
    assert 0 <= result["heldout_solved"] <= 1
    assert changed(folder / "model", folder / "tuned") == linear_layers(folder)
    assert not list((folder / "tuned").glob("adapter*"))
    assert not list(folder.glob(".tuned*")), "its checkpoints are gone with its end"
    assert "solved" in (folder / "sft.err").read_text()


def test_the_run_has_the_papers_setting(folder):
    from redline.cluster.load import load_config

    config = load_config(str(folder / "runs/paper/config.yaml"))
    assert (config.learner.lora.rank, config.learner.lora.target_modules) == (16, "all-linear")
    loss = config.learner.loss
    assert (loss.estimator, loss.clip_low, loss.kl_coef) == ("grpo_per_turn", 0.2, 0.01)
    assert (config.rollout.group_size, config.rollout.max_turns) == (4, 10)
    assert config.rollout.engine.max_model_len == 2048


def test_merged_adapters_are_what_is_pushed(folder):
    lines = (folder / "runs/paper/metrics/steps.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines]
    assert len(steps) == 2
    # Sampler and learner agree after each push, and the policy moved in between.
    assert all(0 < step["weights/max_abs_dlogp"] < 1e-3 for step in steps)
    policy = folder / "runs/paper/checkpoints/step_2/hf"
    assert changed(folder / "tuned", policy) == linear_layers(folder)
    assert not list(policy.glob("adapter*"))


def test_episodes_are_messages_of_the_chat_template(folder):
    from transformers import AutoTokenizer

    from redline.replay.catalog import newest_trajectory

    policy = folder / "runs/paper/checkpoints/step_2/hf"
    tokenizer = AutoTokenizer.from_pretrained(policy)
    assert tokenizer.chat_template
    turns = newest_trajectory(folder / "runs/paper/replay").turns
    first = tokenizer.decode(turns[0].state_token_ids)
    assert first.startswith("<|begin_of_text|><|start_header_id|>system<|end_header_id|>")
    assert first.count("<|begin_of_text|>") == 1
    assert first.endswith("<|start_header_id|>assistant<|end_header_id|>\n\n### ")
    assert "Repair the program until its tests pass." in first
    if len(turns) > 1:
        later = tokenizer.decode(turns[1].state_token_ids)
        assert "<|start_header_id|>user<|end_header_id|>\n\n1|" in later


def test_all_three_arms_are_evaluated_and_recorded(folder):
    result = said(folder, "eval")
    assert set(result["arms"]) == {"coe", "direct", "thinking"}
    assert result["greedy"] == result["arms"]["coe"]["greedy"]
    for arm in result["arms"].values():
        for kind, episodes in (("greedy", 4), ("sampled", 8)):
            figures = arm[kind]
            assert figures["tasks"] == 4
            assert figures["aborted"] == 0
            assert sum(figures["by_status"].values()) == episodes
            assert figures["num_tokens"] > 0
    assert set(result["arms"]["thinking"]["sampled"]["by_length"]) == {"2"}
    assert set(result["arms"]["direct"]["sampled"]["by_length"]) == {"1"}
    assert result["arms"]["thinking"]["sampled"]["num_tokens"] <= 64
    assert result["settings"]["sampling"]["seed"] == 0
    assert {"torch", "transformers", "python"} <= set(result["versions"])
    assert (folder / "evaluation/report.html").read_text().count("<h2>") >= 5
    assert (folder / "evaluation/curves.png").read_bytes().startswith(b"\x89PNG")


def test_an_evaluation_that_is_there_is_told_again_without_running(folder):
    before = said(folder, "eval")
    driver = Driver(*_evaluation(), cwd=folder)
    assert driver.finish(120) == 0, driver.complaint()
    again = driver.result()
    assert again["arms"] == before["arms"]
    assert "24 groups are in evaluation already" in driver.complaint()
    assert "starting Ray" not in driver.complaint()
    other = Driver(*_evaluation()[:-1], "eval.temperature=0.7", cwd=folder)
    assert other.finish(120) == 2
    assert "another eval" in other.complaint()

"""Presets, files, overrides and what is refused."""

import pytest

from redline.cluster.checks.plan import plan_figures, plan_text
from redline.cluster.config import RunConfig, SftConfig
from redline.cluster.errors import UserError
from redline.cluster.load import load_config, load_saved, load_sft_config, preset_names, to_yaml
from redline.cluster.resuming import resumed_config


@pytest.mark.parametrize("name", preset_names(RunConfig))
def test_every_preset_loads_and_has_a_plan(name):
    config = load_config(name)
    assert config.name == name
    assert "learner" in plan_text(config)


def test_the_presets_that_users_know_are_there():
    papers = {f"paper_llama_{size}" for size in ("1b", "3b", "8b")}
    assert set(preset_names(RunConfig)) >= {"demo", "single_gpu", "multi_node", *papers}
    assert set(preset_names(SftConfig)) >= {"demo_sft", *(f"{name}_sft" for name in papers)}
    assert load_sft_config("demo_sft").model is None


@pytest.mark.parametrize(
    ("size", "model"),
    [
        ("1b", "meta-llama/Llama-3.2-1B-Instruct"),
        ("3b", "meta-llama/Llama-3.2-3B-Instruct"),
        ("8b", "meta-llama/Llama-3.1-8B-Instruct"),
    ],
)
def test_the_paper_presets_are_the_papers_setting(size, model):
    config = load_config(f"paper_llama_{size}")
    warm = load_sft_config(f"paper_llama_{size}_sft")
    assert config.model == warm.model == model
    assert (warm.sft.lora.rank, warm.sft.lora.target_modules) == (16, "all-linear")
    assert warm.sft.context == 2048
    assert (warm.tasks.edits_min, warm.tasks.edits_max, warm.tasks.corruption.order) == (
        1, 5, "random",
    )  # fmt: skip
    assert config.prompt == warm.prompt, "what is learned is what is sampled"
    assert config.reward.truncated == config.reward.no_exit == -0.5
    assert config.eval.max_turns == 10
    loss = config.learner.loss
    assert (loss.estimator, loss.clip_low, loss.clip_high) == ("grpo_per_turn", 0.2, 0.2)
    assert (loss.kl_coef, config.learner.lora.rank) == (0.01, 16)
    assert (config.rollout.group_size, config.rollout.max_turns) == (4, 10)
    assert config.rollout.engine.max_model_len == 2048


def test_yaml_round_trip(tmp_path):
    config = load_config(
        "demo", ["name=mine", "learner.loss.kl_coef=0.1", "tasks.families=[add_at]"]
    )
    path = tmp_path / "mine.yaml"
    path.write_text(to_yaml(config))
    assert load_config(str(path)) == config


def test_a_file_without_a_name_is_called_after_itself(tmp_path):
    path = tmp_path / "night-run.yaml"
    path.write_text("steps: 3\n")
    assert load_config(str(path)).name == "night-run"


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("dem", [], r"no preset 'dem' \(did you mean 'demo'\?\)"),
        ("demo_sft", [], r"no preset 'demo_sft'"),
        ("nowhere.yaml", [], r"no configuration file at nowhere.yaml"),
        ("demo", ["stepz=3"], r"unknown key 'stepz' \(did you mean 'steps'\?\)"),
        ("demo", ["kl_coef=1"], r"did you mean 'learner.loss.kl_coef'"),
        ("demo", ["rollout.group_sise=1"], r"did you mean 'rollout.group_size'"),
        ("demo", ["steps"], r"not of the form key=value"),
        ("demo", ["steps=many"], r"Value 'many'"),
        ("demo", ["learner=3"], r"learner=3: int is not"),
        ("demo", ["learner.optimizer.betas=[1"], r"override"),
        ("demo", ["steps=0"], r"steps=0: expected at least 1"),
        ("demo", ["rollout.group_size=1"], r"without a baseline"),
        ("demo", ["learner.loss.estimator=ppo"], r"expected one of grpo, grpo_per_turn"),
        (
            "demo",
            ["learner.loss.estimator=rloo", "rollout.group_size=1"],
            r"rollout.group_size=1 leaves learner.loss.estimator='rloo'",
        ),
        ("demo", ["learner.critic.kind=head"], r"learner.critic.kind.*learner.loss.estimator"),
        (
            "demo",
            ["learner.loss.kind=cispo", "learner.loss.dual_clip=3"],
            r"learner.loss.dual_clip=3.*learner.loss.kind",
        ),
        ("demo", ["rollout.sampling.temperature=0"], r"expected more than 0"),
        (
            "demo",
            ["learner.micro_batch_tokens=100"],
            r"learner.micro_batch_tokens=100 .*rollout.engine.max_model_len=1024.*raise it",
        ),
        (
            "demo",
            ["learner.deepspeed.offload_optimizer=true"],
            r"learner.deepspeed.offload_optimizer=true.*learner.deepspeed.zero_stage=0",
        ),
        (
            "demo",
            ["learner.loss.no_signal=resample", "learner.loss.max_resampled=0"],
            r"learner.loss.no_signal='resample'.*learner.loss.max_resampled=0",
        ),
        ("demo", ["learner.optimizer.schedule=linear"], r"schedule='linear': .* one of constant"),
        ("demo", ["tasks.edits_min=4", "tasks.edits_max=2"], r"above tasks.edits_max"),
        ("demo", ["eval.tasks=9999"], r"only 512 held-out tasks"),
        ("demo", ["name=../up"], r"must start with a letter or digit"),
        ("demo", ["rollout.sampling.top_p=1.5"], r"between 0 and 1"),
        (
            "demo",
            ["rollout.sampling.grammar=true", "rollout.sampling.max_command_tokens=15"],
            r"max_command_tokens=15 cuts nearly every command, and rollout.sampling.grammar=true",
        ),
        ("demo", ["deadlines.push=0"], r"more than 0"),
        ("demo", ["max_staleness=-1"], r"expected 0 or more"),
        ("demo", ["rollout.sampling.max_command_tokens=4000"], r"leaves no room"),
        ("demo", ["prompt.chat=on"], r"prompt\.chat='True': expected one of auto, never"),
        ("demo", ["eval.answer_tokens=0"], r"expected at least 1"),
        ("demo", ["sandbox.resources.pool=0"], r"sandbox.resources.pool=0: expected more than 0"),
        ("demo", ["learner.resources.GPU=1"], r"settings of their own, num_cpus and num_gpus"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(name, overrides, message):
    with pytest.raises(UserError, match=message) as caught:
        load_config(name, overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n", "\x00"])
def test_a_file_that_is_no_configuration_is_refused(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"bad\.yaml"):
        load_config(str(path))


def test_custom_resources_have_names_of_the_users_own(tmp_path):
    config = load_config("demo", ["rollout.resources.redline_sampler=1"])
    assert config.rollout.resources == {"redline_sampler": 1.0}
    saved = tmp_path / "saved.yaml"
    saved.write_text(to_yaml(config))
    assert load_config(str(saved), ["sandbox.resources={redline_sandbox: 0.5}"]) == load_config(
        "demo", ["rollout.resources.redline_sampler=1", "sandbox.resources.redline_sandbox=0.5"]
    )


def test_batch_arithmetic():
    overrides = ["learner.groups_per_step=4", "rollout.group_size=8", "max_staleness=1", "steps=10"]
    figures = plan_figures(load_config("demo", overrides))
    assert figures["trajectories_per_step"] == 32
    assert figures["groups_outstanding_at_most"] == 8
    assert figures["trajectories"] == 320


def test_resume_takes_the_saved_configuration_and_refuses_what_must_stay(tmp_path):
    root = f"run_root={tmp_path}"
    saved = load_config("demo", [root, "steps=7", "rollout.group_size=4"])
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "config.yaml").write_text(to_yaml(saved))
    resumed = resumed_config(load_config("demo", [root]), [root, "steps=9"])
    assert (resumed.steps, resumed.rollout.group_size) == (9, 4)
    with pytest.raises(UserError, match=r"learner\.groups_per_step was"):
        resumed_config(load_config("demo", [root]), ["learner.groups_per_step=2"])
    assert resumed_config(load_config("demo", [root]), ["learner.ranks=2"]).learner.ranks == 2
    divided = load_config("demo", [root, "learner.deepspeed.zero_stage=1"])
    (tmp_path / "demo" / "config.yaml").write_text(to_yaml(divided))
    with pytest.raises(UserError, match=r"learner\.ranks was 1"):
        resumed_config(divided, ["learner.ranks=2"])
    with pytest.raises(UserError, match="no run to resume"):
        resumed_config(load_config("demo", [root, "name=other"]), [])


def test_a_run_of_another_release_can_be_looked_at(tmp_path):
    saved = tmp_path / "config.yaml"
    config = load_config("demo", ["name=old", "replay.root=/store"])
    known = to_yaml(config)
    saved.write_text(known.replace("rollout:\n", "rollout:\n  invented: 1\n") + "newer: {a: 1}\n")
    assert load_saved(saved) == config
    with pytest.raises(UserError, match="unknown key"):
        load_config(str(saved))
    saved.write_text("name: old\nsteps: 7\nplugins: [not_installed_here]\n")
    assert (load_saved(saved).steps, load_saved(saved).replay.root) == (7, None)


@pytest.mark.parametrize("text", ["", "- a\n", "name: [half", "name: x\n", "name: x\nsteps: no\n"])
def test_a_saved_configuration_that_is_not_whole_is_refused(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match="only half written or damaged") as caught:
        load_saved(tmp_path / "config.yaml")
    assert "\n" not in str(caught.value)


def test_adapters_of_a_model_from_nothing_are_refused():
    with pytest.raises(UserError, match=r"sft\.lora\.rank=0, or model=FOLDER"):
        load_sft_config("demo_sft", ["sft.lora.rank=16"])
    assert load_sft_config("demo_sft", ["sft.lora.rank=16", "model=x"]).sft.lora.rank == 16


def test_demonstrations_that_no_micro_batch_holds_are_refused():
    overrides = ["sft.micro_batch_tokens=1024", "sft.context=2048"]
    with pytest.raises(UserError, match=r"sft.micro_batch_tokens=1024 .* sft.context=2048"):
        load_sft_config("demo_sft", overrides)


def test_a_gradient_norm_without_bound_is_a_choice():
    assert load_config("demo", ["learner.optimizer.max_grad_norm=0"])


def test_a_grammar_without_the_package_that_knows_it_is_refused(monkeypatch):
    monkeypatch.setattr("redline.cluster.validation.find_spec", lambda name: None)
    load_config("demo")
    with pytest.raises(UserError, match=r"rollout.sampling.grammar=true needs .* xgrammar"):
        load_config("demo", ["rollout.sampling.grammar=true"])

"""The learner under DeepSpeed: SFT, policy steps, checkpoints, every ZeRO stage."""

from dataclasses import replace

import numpy as np
import pytest

from redline.dsl.demonstrations import RenderedTurn
from redline.learner.learner import Learner
from redline.learner.settings import (
    DeepSpeedSettings,
    LearnerSettings,
    LoraSettings,
    LossSettings,
    OptimizerSettings,
    SftSettings,
    TinyModelSettings,
)

from .groups import make_group

STATE = "1|x = {0}\n***\n### "
ACTION = "REPL 1 >>>x = {0}\n"
TINY = TinyModelSettings(vocab_size=330, hidden_size=32, intermediate_size=64, layers=2, heads=1)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    from redline.learner.model import make_tiny

    return str(make_tiny(tmp_path_factory.mktemp("policy"), TINY, [STATE + ACTION], seed=0))


@pytest.fixture(scope="module")
def demonstrations():
    """The command repeats the digit that the state shows."""
    return [[RenderedTurn(state=STATE.format(n), action=ACTION.format(n))] for n in range(10)]


def settings(**changes):
    return replace(
        LearnerSettings(
            threads=1,
            micro_batch_tokens=64,
            optimizer=OptimizerSettings(learning_rate=1e-3),
        ),
        **changes,
    )


def started(policy, **changes):
    learner = Learner(model_path=policy, settings=settings(**changes))
    learner.start()
    return learner


def payload(learner):
    *buckets, _ = learner.publish()
    return np.concatenate(buckets).view(np.float32)


def test_sft_learns_to_copy_and_saves_a_policy(policy, demonstrations, tmp_path):
    from redline.learner.model import load_policy, load_tokenizer
    from redline.learner.sft import encode_demonstration, train_sft

    tokenizer = load_tokenizer(policy)
    sequences = [encode_demonstration(tokenizer, turns) for turns in demonstrations * 20]
    seen = []
    result = train_sft(
        policy,
        tmp_path / "out",
        sequences,
        SftSettings(
            epochs=80,
            batch_tokens=512,
            micro_batch_tokens=256,
            threads=1,
            heldout_fraction=0.1,
            lora=LoraSettings(rank=0),
            optimizer=OptimizerSettings(learning_rate=1e-2, warmup_steps=5, schedule="cosine"),
        ),
        on_progress=seen.append,
    )
    assert result.after.loss < 0.1 < result.before.loss
    assert result.after.exact > 0.95
    assert result.skipped_steps == 0
    assert [p.step for p in seen] == list(range(1, result.steps + 1))
    assert seen[-1].learning_rate < seen[10].learning_rate
    assert load_policy(str(tmp_path / "out")).config.vocab_size == len(
        load_tokenizer(str(tmp_path / "out"))
    )


def test_a_policy_step_raises_what_was_rewarded(policy):
    import torch

    learner = started(policy)
    *_, before = learner.publish()
    for number in range(5):
        result = learner.train_step([make_group(number, good=77)])
        assert not result.skipped
        assert result.weight_version == result.step == number + 1
        assert result.groups == 1
        assert result.trajectories == 4
        assert result.tokens == 6 * 14
        assert result.action_tokens == 6 * 6
        assert result.solve_rate == 0.5
        assert result.num_turns == 1.5
        assert result.staleness_max == number
        assert result.grad_norm > 0
    *_, after = learner.publish()
    assert (before.version, after.version) == (0, 5)
    assert before.buckets[0].checksum != after.buckets[0].checksum
    context = torch.arange(10, 18)[None]
    from redline.learner.model import load_policy

    old = load_policy(policy)(input_ids=context).logits[0, -1].softmax(-1)[77]
    new = learner._engine.policy(input_ids=context).logits[0, -1].softmax(-1)[77]
    assert float(new.detach()) > 1.2 * float(old.detach())
    learner.close()


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_every_zero_stage_takes_the_same_steps(policy, stage):
    plain = started(policy)
    sharded = started(policy, deepspeed=DeepSpeedSettings(zero_stage=stage))
    for number in range(3):
        group = make_group(number, good=50)
        one, other = plain.train_step([group]), sharded.train_step([group])
        assert other.pg_loss == pytest.approx(one.pg_loss, abs=1e-4)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-3)
    (*_, first), (*_, second) = plain.publish(), sharded.publish()
    assert [(t.name, t.shape) for t in first.manifest] == [
        (t.name, t.shape) for t in second.manifest
    ]
    np.testing.assert_allclose(payload(plain), payload(sharded), atol=2e-4)
    np.testing.assert_allclose(first.probe.logprobs, second.probe.logprobs, atol=2e-3)
    plain.close()
    sharded.close()


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean", "constant"])
def test_the_token_budget_does_not_change_the_step(policy, aggregation):
    groups = [make_group(0, good=50), make_group(1, good=60, length=9)]
    loss = LossSettings(aggregation=aggregation)
    weights, figures = [], []
    for budget in (40, 4096):
        learner = started(policy, micro_batch_tokens=budget, loss=loss)
        figures.append(learner.train_step(groups))
        weights.append(payload(learner))
        learner.close()
    assert figures[0].grad_norm == pytest.approx(figures[1].grad_norm, rel=1e-4)
    np.testing.assert_allclose(weights[0], weights[1], atol=2e-4)


def test_five_steps_saved_and_five_more_equal_ten(policy, tmp_path):
    from redline.learner.model import load_policy

    groups = [make_group(number, good=40 + number) for number in range(10)]
    straight, first = started(policy), started(policy)
    for group in groups:
        straight.train_step([group])
    for group in groups[:5]:
        first.train_step([group])
    first.save_checkpoint(tmp_path / "step_5")
    second = started(policy)
    second.load_checkpoint(tmp_path / "step_5")
    assert second.weight_version == 5
    exported = load_policy(str(tmp_path / "step_5" / "hf"))
    np.testing.assert_array_equal(
        exported.lm_head.weight.detach().numpy(), first._engine.policy.lm_head.weight.detach()
    )
    for group in groups[5:]:
        result = second.train_step([group])
    assert result.step == 10
    np.testing.assert_array_equal(payload(straight), payload(second))
    for learner in (straight, first, second):
        learner.close()


def test_nothing_to_learn_leaves_the_version(policy):
    learner = started(policy)
    group = make_group(0, good=50)
    same = replace(group, trajectories=group.trajectories[:1] * 3)
    result = learner.train_step([same])
    assert result.skipped
    assert (result.step, result.weight_version) == (1, 0)
    assert [d.trajectories for d in result.dropped] == [3]
    learner.close()


@pytest.mark.parametrize("stage", [0, 2, 3])
def test_a_non_finite_gradient_is_skipped_counted_and_ends_the_run_in_the_end(policy, stage):
    import torch

    from redline.learner.skipping import NonFiniteTraining

    learner = started(policy, deepspeed=DeepSpeedSettings(zero_stage=stage), max_skipped_steps=3)
    learner.train_step([make_group(0, good=50)])
    engine = learner._engine
    with engine.gathered() as whole, torch.no_grad():
        whole.model.norm.weight[0] = float("inf")
    if stage == 3:  # what was written while gathered is not kept
        with torch.no_grad():
            engine.policy.model.norm.weight.ds_tensor[0] = float("inf")
    before = payload(learner)
    for count in (1, 2):
        result = learner.train_step([make_group(count, good=50)])
        assert result.skipped
        assert result.skipped_steps == count
        assert result.weight_version == 1
        assert np.isfinite([result.pg_loss, result.entropy, result.mismatch_kl]).all()
    np.testing.assert_array_equal(payload(learner), before)
    with pytest.raises(NonFiniteTraining, match="last 3 optimizer steps"):
        learner.train_step([make_group(3, good=50)])
    learner.close()


def test_a_non_finite_loss_alone_is_skipped_too(policy, monkeypatch):
    """The gradient of this loss is finite; the loss is not."""
    from redline.learner import policy_step

    real, calls = policy_step.policy_loss, []

    def broken(**values):
        loss = real(**values)
        calls.append(len(calls))
        return replace(loss, total=loss.total + float("inf")) if len(calls) == 1 else loss

    monkeypatch.setattr(policy_step, "policy_loss", broken)
    learner = started(policy)
    before = payload(learner)
    result = learner.train_step([make_group(0, good=50)])
    assert len(calls) > 1  # other micro-batches of the step were sound
    assert (result.skipped, result.skipped_steps) == (True, 1)
    np.testing.assert_array_equal(payload(learner), before)
    result = learner.train_step([make_group(1, good=50)])
    assert (result.skipped, result.skipped_steps, result.weight_version) == (False, 1, 1)
    learner.close()


def test_kl_and_second_epochs(policy):
    loss = LossSettings(kl_coef=0.1, entropy_coef=0.01)
    learner = started(policy, loss=loss, epochs_per_batch=3)
    first = learner.train_step([make_group(0, good=50)])
    second = learner.train_step([make_group(1, good=50)])
    assert first.weight_version == 1
    assert 0 < first.kl < second.kl
    assert first.entropy > 1
    assert first.tokens == 3 * 6 * 14
    learner.close()


def test_later_epochs_divide_by_what_the_first_one_scored(policy, monkeypatch):
    from redline.learner import policy_step

    seen, real = [], policy_step.policy_loss

    def noted(**values):
        seen.append((values["logprobs"].detach(), values["old_logprobs"]))
        return real(**values)

    monkeypatch.setattr(policy_step, "policy_loss", noted)
    learner = started(policy, epochs_per_batch=3, micro_batch_tokens=4096)
    learner.train_step([make_group(0, good=50)])
    (first, none), *later = seen
    assert none is None
    assert len(later) == 2
    for logprobs, old in later:
        assert old.equal(first)
        assert not logprobs.equal(first)
    learner.close()


def test_unsupported_settings_are_refused(policy):
    with pytest.raises(ValueError, match="ranks is 0"):
        Learner(model_path=policy, settings=settings(ranks=0))
    with pytest.raises(ValueError, match="ranks is 2: a rank needs a meeting"):
        started(policy, ranks=2)
    from redline.learner.model import PolicyNotFound

    missing = Learner(model_path="./no/such/policy", settings=settings())
    with pytest.raises(PolicyNotFound, match="no/such/policy"):
        missing.start()


def test_an_interrupted_sft_goes_on_exactly(policy, demonstrations, tmp_path):
    from redline.learner.model import load_policy, load_tokenizer
    from redline.learner.sft import encode_demonstration, train_sft

    tokenizer = load_tokenizer(policy)
    sequences = [encode_demonstration(tokenizer, turns) for turns in demonstrations * 4]
    chosen = SftSettings(
        epochs=6,
        batch_tokens=256,
        micro_batch_tokens=256,
        threads=1,
        checkpoint_every=3,
        lora=LoraSettings(rank=4, dropout=0.1),
        optimizer=OptimizerSettings(learning_rate=1e-2, warmup_steps=2, schedule="linear"),
    )

    def stop(state):
        if state.step == 7:
            raise KeyboardInterrupt

    straight = train_sft(policy, tmp_path / "straight", sequences, chosen)
    assert straight.steps > 9
    with pytest.raises(KeyboardInterrupt):
        train_sft(
            policy, tmp_path / "resumed", sequences, chosen,
            on_progress=stop, checkpoints=tmp_path / "kept",
        )  # fmt: skip
    assert not (tmp_path / "resumed").exists()
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["step_6"]
    steps = []
    resumed = train_sft(
        policy, tmp_path / "resumed", sequences, chosen,
        on_progress=lambda state: steps.append(state.step), checkpoints=tmp_path / "kept",
    )  # fmt: skip
    assert steps[0] == 7
    assert (resumed.steps, resumed.tokens) == (straight.steps, straight.tokens)
    one, other = (load_policy(str(tmp_path / name)) for name in ("straight", "resumed"))
    for (name, old), new in zip(one.named_parameters(), other.parameters(), strict=True):
        assert old.equal(new), name


def test_sft_with_an_adapter_changes_linear_layers_only(policy, demonstrations, tmp_path):
    from redline.learner.model import load_policy, load_tokenizer
    from redline.learner.sft import encode_demonstration, train_sft

    tokenizer = load_tokenizer(policy)
    sequences = [encode_demonstration(tokenizer, turns) for turns in demonstrations]
    asked = []
    result = train_sft(
        policy, tmp_path / "out", sequences,
        SftSettings(micro_batch_tokens=256, batch_tokens=64, threads=1, heldout_fraction=0.3),
        solve_rate=lambda model: asked.append(model) or 0.25,
    )  # fmt: skip
    assert result.before.solved == result.after.solved == 0.25
    assert len(asked) == 2
    before, after = load_policy(policy), load_policy(str(tmp_path / "out"))
    for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True):
        assert old.equal(new) == ("proj" not in name), name

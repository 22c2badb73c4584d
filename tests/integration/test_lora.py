"""The learner with a low-rank adapter: what is trained, published, saved and compared with."""

from dataclasses import replace

import numpy as np
import pytest

from redline.learner.learner import Learner
from redline.learner.settings import (
    DeepSpeedSettings,
    LearnerSettings,
    LoraSettings,
    LossSettings,
    OptimizerSettings,
    TinyModelSettings,
)

from . import groups

TINY = TinyModelSettings(vocab_size=330, hidden_size=32, intermediate_size=64, layers=2, heads=2)
LORA = LoraSettings(rank=4, alpha=8.0)


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def policy(tmp_path_factory, request):
    from redline.learner.model import make_tiny

    shape = replace(TINY, tie_embeddings=request.param)
    return str(make_tiny(tmp_path_factory.mktemp("policy"), shape, ["1|x = 0\n### EXIT\n"]))


def started(policy, **changes):
    chosen = LearnerSettings(
        threads=1,
        micro_batch_tokens=64,
        lora=LORA,
        optimizer=OptimizerSettings(learning_rate=1e-2),
    )
    learner = Learner(model_path=policy, settings=replace(chosen, **changes))
    learner.start()
    return learner


def make_group(number):
    """Trajectories of one turn."""
    return groups.make_group(number, turns=(1, 1, 1, 1))


def probe_of(model, token_ids):
    """Log-probabilities of `token_ids` from the second on."""
    import torch

    ids = torch.from_numpy(token_ids).long()[None]
    with torch.no_grad():
        rows = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
    return rows.gather(-1, ids[0, 1:, None])[:, 0].numpy()


def test_only_the_adapter_is_trained(policy):
    learner = started(policy)
    parameters = dict(learner._engine.policy.named_parameters())
    before = {name: p.detach().clone() for name, p in parameters.items()}
    for number in range(2):
        assert not learner.train_step([make_group(number)]).skipped
    for name, parameter in parameters.items():
        assert before[name].equal(parameter.detach()) == ("lora_" not in name), name
    assert sum("lora_A" in name for name in parameters) == 2 * 7
    learner.close()


@pytest.mark.parametrize("stage", [0, 3])
def test_the_published_adapter_makes_the_exported_model(policy, tmp_path, stage):
    import torch

    from redline.actors.low_rank import merged
    from redline.learner.model import load_policy

    learner = started(policy, deepspeed=DeepSpeedSettings(zero_stage=stage))
    for number in range(3):
        learner.train_step([make_group(number)])
    (bucket, update) = learner.publish()
    model = load_policy(policy)
    untrained = probe_of(model, update.probe.token_ids)
    plain = dict(model.named_parameters())
    sent = {
        spec.name: torch.from_numpy(bucket[spec.offset : spec.offset + spec.nbytes].copy())
        .view(getattr(torch, spec.dtype))
        .view(spec.shape)
        for spec in update.manifest
    }
    assert len(update.adapter) == 2 * 7
    for change in update.adapter:
        row = (change.weight, change.down, change.up, change.scale, change.transposed)
        weight = plain[change.weight]
        weight.data.copy_(merged(weight.detach(), sent, row))
    served = probe_of(model, update.probe.token_ids)
    np.testing.assert_allclose(served, update.probe.logprobs, atol=1e-5)
    assert np.abs(served - untrained).max() > 0.05

    learner.export_hf(tmp_path / "hf")
    exported = load_policy(str(tmp_path / "hf"))
    for name, parameter in exported.named_parameters():
        assert parameter.equal(plain[name]), name
    assert not list((tmp_path / "hf").glob("adapter*"))
    learner.close()


def test_a_resumed_adapter_goes_on_exactly(policy, tmp_path):
    lora = replace(LORA, dropout=0.1)
    straight, first = started(policy, lora=lora), started(policy, lora=lora)
    import torch

    for number in range(2):
        torch.manual_seed(number)
        straight.train_step([make_group(number)])
    for number in range(2):
        torch.manual_seed(number)
        first.train_step([make_group(number)])
    first.save_checkpoint(tmp_path)
    straight.train_step([make_group(2)])
    second = started(policy, lora=lora)
    second.load_checkpoint(tmp_path)
    second.train_step([make_group(2)])
    assert straight.weight_version == second.weight_version == 3
    (one, _), (other, _) = straight.publish(), second.publish()
    np.testing.assert_array_equal(one, other)
    for learner in (straight, first, second):
        learner.close()


def test_the_reference_is_the_policy_without_its_adapter(policy):
    import torch

    from redline.learner.batches.packing import pad_batch
    from redline.learner.model import load_policy

    learner = started(policy, loss=LossSettings(kl_coef=0.1))
    results = [learner.train_step([make_group(number)]) for number in range(3)]
    assert results[0].kl == pytest.approx(0.0, abs=1e-9)
    assert results[2].kl > 0
    ids = np.arange(20, 60, dtype=np.int32)
    batch = pad_batch([ids], [np.arange(40) > 0])
    reference = learner._reference.logprobs(batch).numpy()
    np.testing.assert_allclose(reference, probe_of(load_policy(policy), ids), atol=1e-5)
    with torch.no_grad():
        trained = learner._engine.score(batch).logprobs.numpy()
    assert np.abs(trained - reference).max() > 0.01
    assert not learner.train_step([make_group(3)]).skipped
    learner.close()


def test_bfloat16_weights_with_activation_checkpointing(policy):
    learner = started(
        policy, dtype="bfloat16", deepspeed=DeepSpeedSettings(activation_checkpointing=True)
    )
    _, before = learner.publish()
    for number in range(3):
        assert not learner.train_step([make_group(number)]).skipped
    _, after = learner.publish()
    assert {spec.dtype for spec in after.manifest} == {"bfloat16"}
    assert before.buckets != after.buckets
    learner.close()


def test_layers_that_cannot_be_merged_are_refused(policy):
    with pytest.raises(ValueError, match=r"target_modules='embed_tokens' matches .*not linear"):
        started(policy, lora=replace(LORA, target_modules="embed_tokens"))
    chosen = started(policy, lora=replace(LORA, target_modules="q_proj, v_proj"))
    assert chosen.train_step([make_group(0)]).grad_norm > 0
    chosen.close()
    with pytest.raises(ValueError, match="reference_path"):
        Learner(
            model_path=policy, settings=LearnerSettings(lora=LORA), reference_path="elsewhere/x"
        )

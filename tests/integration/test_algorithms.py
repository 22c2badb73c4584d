"""Every estimator and loss trains a tiny policy under DeepSpeed; the critic is saved with it."""

from dataclasses import replace

import numpy as np
import pytest

from redline.learner.learner import Learner
from redline.learner.settings import (
    CriticSettings,
    DeepSpeedSettings,
    LearnerSettings,
    LoraSettings,
    LossSettings,
    OptimizerSettings,
    TinyModelSettings,
)
from redline.replay.records import TrajectoryStatus

from . import groups
from .groups import CONTEXT

TINY = TinyModelSettings(vocab_size=330, hidden_size=32, intermediate_size=64, layers=2, heads=1)
GOOD = 77
GAE = LossSettings(estimator="gae")
HEAD = CriticSettings(kind="head", learning_rate=1e-2)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    from redline.learner.model import make_tiny

    return str(make_tiny(tmp_path_factory.mktemp("policy"), TINY, ["1|x = 0\n### EXIT\n"]))


def started(policy, **changes):
    chosen = LearnerSettings(
        threads=1, micro_batch_tokens=128, optimizer=OptimizerSettings(learning_rate=1e-3)
    )
    learner = Learner(model_path=policy, settings=replace(chosen, **changes))
    learner.start()
    return learner


def make_group(number, status=TrajectoryStatus.EXITED):
    """Actions begin with the good token where they are rewarded, at the end."""
    return groups.make_group(
        number,
        good=GOOD,
        length=4,
        lowest=100,
        logprob=-5.8,
        status=status,
        reward_each_turn=False,
    )


def payload(learner):
    *buckets, _ = learner.publish()
    return np.concatenate(buckets).view(np.float32)


def chance_of_good(learner):
    import torch

    with torch.no_grad():
        logits = learner._engine.policy(input_ids=torch.from_numpy(CONTEXT).long()[None]).logits
    return float(logits[0, -1].softmax(-1)[GOOD])


CASES = {
    "grpo": ({}, "none"),
    "grpo_per_turn": ({"estimator": "grpo_per_turn"}, "none"),
    "dr_grpo": ({"estimator": "dr_grpo", "aggregation": "constant", "constant_length": 4}, "none"),
    "rloo": ({"estimator": "rloo", "aggregation": "sequence_mean"}, "none"),
    "reinforce_pp": ({"estimator": "reinforce_pp"}, "none"),
    "gae": ({"estimator": "gae"}, "head"),
    "gspo": ({"kind": "gspo", "aggregation": "sequence_mean"}, "none"),
    "cispo": ({"kind": "cispo", "old_policy": "sampler", "tis_cap": 0.0}, "none"),
    "dual_clip_and_band": (
        {"dual_clip": 3.0, "mismatch_low": 0.01, "mismatch_high": 50.0},
        "none",
    ),
    "k1_in_the_reward": ({"kl_coef": 0.01, "kl_in": "reward", "kl_estimator": "k1"}, "none"),
    "k2_in_the_loss": ({"kl_coef": 0.01, "kl_estimator": "k2"}, "none"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_algorithm_makes_what_was_rewarded_more_likely(policy, name):
    loss, kind = CASES[name]
    learner = started(
        policy, loss=replace(LossSettings(), **loss), critic=CriticSettings(kind=kind),
        epochs_per_batch=2,
    )  # fmt: skip
    before = chance_of_good(learner)
    for number in range(5):
        result = learner.train_step([make_group(number)])
        assert not result.skipped
        assert result.trajectories == 4
    assert chance_of_good(learner) > 1.15 * before
    assert result.weight_version == 5
    if loss.get("kl_coef"):
        assert result.kl != 0
    learner.close()


@pytest.mark.parametrize("level", ["token", "turn"])
def test_the_critic_learns_and_stays_out_of_the_policy(policy, tmp_path, level):
    from redline.learner.model import load_policy

    learner = started(policy, loss=GAE, critic=replace(HEAD, level=level, value_clip=0.0))
    *_, update = learner.publish()
    names = [spec.name for spec in update.manifest]
    assert names == [name for name, _ in load_policy(policy).named_parameters()]
    results = [learner.train_step([make_group(number % 3)]) for number in range(25)]
    assert results[0].explained_variance == pytest.approx(0.0, abs=1e-6)
    assert results[-1].explained_variance > 0.3
    assert results[-1].value_loss < 0.7 * results[0].value_loss
    learner.export_hf(tmp_path / "hf")
    exported = load_policy(str(tmp_path / "hf"))
    assert [name for name, _ in exported.named_parameters()] == names
    learner.close()


def test_the_critics_learning_leaves_the_policy_alone(policy):
    """With another learning rate of the critic the first step of the policy is the same."""
    weights = []
    for rate in (1e-2, 1e-5):
        learner = started(policy, loss=GAE, critic=replace(HEAD, learning_rate=rate))
        learner.train_step([make_group(0)])
        weights.append(payload(learner))
        learner.close()
    np.testing.assert_array_equal(*weights)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_every_zero_stage_trains_the_same_critic(policy, stage):
    cut = TrajectoryStatus.TRUNCATED
    plain = started(policy, loss=GAE, critic=HEAD)
    sharded = started(policy, loss=GAE, critic=HEAD, deepspeed=DeepSpeedSettings(zero_stage=stage))
    for number in range(3):
        groups = [make_group(number), make_group(number + 10, status=cut)]
        one, other = plain.train_step(groups), sharded.train_step(groups)
        assert other.value_loss == pytest.approx(one.value_loss, rel=1e-4)
        assert other.explained_variance == pytest.approx(one.explained_variance, abs=1e-3)
    np.testing.assert_allclose(payload(plain), payload(sharded), atol=5e-4)
    plain.close()
    sharded.close()


def test_the_token_budget_does_not_change_the_critics_step(policy):
    found = []
    for budget in (40, 4096):
        learner = started(policy, loss=GAE, critic=HEAD, micro_batch_tokens=budget)
        steps = [learner.train_step([make_group(0), make_group(1)]) for _ in range(3)]
        found.append([step.value_loss for step in steps])
        learner.close()
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_a_resumed_critic_goes_on_bit_for_bit(policy, tmp_path):
    chosen = {"loss": GAE, "critic": HEAD, "epochs_per_batch": 2}
    straight, first = started(policy, **chosen), started(policy, **chosen)
    for number in range(3):
        straight.train_step([make_group(number)])
        first.train_step([make_group(number)])
    first.save_checkpoint(tmp_path)
    second = started(policy, **chosen)
    second.load_checkpoint(tmp_path)
    for number in range(3, 6):
        one, other = (
            straight.train_step([make_group(number)]),
            second.train_step([make_group(number)]),
        )
        assert (one.value_loss, one.pg_loss) == (other.value_loss, other.pg_loss)
    np.testing.assert_array_equal(payload(straight), payload(second))
    for learner in (straight, first, second):
        learner.close()


def test_a_checkpoint_without_a_critic_is_refused(policy, tmp_path):
    from redline.learner.checkpoint import CheckpointNotFound

    plain, wanting = started(policy), started(policy, loss=GAE, critic=HEAD)
    plain.save_checkpoint(tmp_path)
    with pytest.raises(CheckpointNotFound, match=r"no critic in .*learner\.critic\.kind=none"):
        wanting.load_checkpoint(tmp_path)
    plain.close()
    wanting.close()


def test_the_reference_of_an_adapter_is_scored_without_top_p(policy):
    """Before the first step policy and reference are the same, and so is their nucleus."""
    learner = Learner(
        model_path=policy,
        top_p=0.5,
        settings=LearnerSettings(
            threads=1,
            micro_batch_tokens=128,
            lora=LoraSettings(rank=2),
            loss=LossSettings(kl_coef=0.1, kl_estimator="k1", kl_in="reward"),
        ),
    )
    learner.start()
    from redline.learner.batches.packing import pad_batch

    ids = np.concatenate([CONTEXT, CONTEXT])
    batch = pad_batch([ids], [np.arange(16) >= 8])
    whole = learner._reference.logprobs(batch)
    own = learner._engine.score(batch).logprobs.detach()
    assert (own > whole + 0.1).all()
    assert not learner.train_step([make_group(0)]).skipped
    learner.close()

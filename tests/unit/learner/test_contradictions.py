"""Settings that cannot both be meant are refused with both names."""

from dataclasses import replace

import pytest

from redline.learner.contradictions import refuse_contradictions
from redline.learner.settings import (
    CriticSettings,
    DeepSpeedSettings,
    LearnerSettings,
    LossSettings,
)

HEAD = CriticSettings(kind="head")


def settings(critic=None, **loss):
    return LearnerSettings(loss=replace(LossSettings(), **loss), critic=critic or CriticSettings())


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (settings(estimator="gae"), ("learner.loss.estimator", "learner.critic.kind")),
        (settings(HEAD), ("learner.critic.kind", "learner.loss.estimator")),
        (
            settings(HEAD, estimator="gae", credit="trajectory"),
            ("learner.loss.credit", "learner.loss.estimator"),
        ),
        (settings(kind="cispo", dual_clip=3.0), ("learner.loss.dual_clip", "learner.loss.kind")),
        (settings(dual_clip=0.9), ("learner.loss.dual_clip", "1")),
        (settings(old_policy="sampler"), ("learner.loss.tis_cap", "learner.loss.old_policy")),
        (
            settings(mismatch_low=0.9, mismatch_high=0.8),
            ("learner.loss.mismatch_low", "learner.loss.mismatch_high"),
        ),
        (settings(mismatch_low=1.5), ("learner.loss.mismatch_low", "learner.loss.mismatch_high")),
        (settings(mismatch_high=0.5), ("learner.loss.mismatch_low", "learner.loss.mismatch_high")),
        (
            settings(mismatch_low=0.5, tis_cap=0.4),
            ("learner.loss.tis_cap", "learner.loss.mismatch_low"),
        ),
        (
            settings(kind="gspo", mismatch_high=2.0),
            ("learner.loss.kind", "learner.loss.mismatch_level"),
        ),
        (
            settings(kl_coef=0.1, kl_estimator="k1"),
            ("learner.loss.kl_estimator", "learner.loss.kl_in"),
        ),
        (LearnerSettings(ranks=2, num_gpus=0.5), ("learner.ranks", "learner.num_gpus")),
        (
            settings(HEAD, estimator="gae", no_signal="resample"),
            ("learner.loss.no_signal", "learner.loss.estimator"),
        ),
        (
            settings(no_signal="resample", max_resampled=0),
            ("learner.loss.no_signal", "learner.loss.max_resampled"),
        ),
        (
            LearnerSettings(deepspeed=DeepSpeedSettings(offload_optimizer=True)),
            ("learner.deepspeed.offload_optimizer", "learner.deepspeed.zero_stage"),
        ),
    ],
)
def test_both_settings_are_named(chosen, names):
    with pytest.raises(ValueError, match="learner") as caught:
        refuse_contradictions(chosen)
    for name in names:
        assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "chosen",
    [
        settings(),
        settings(HEAD, estimator="gae"),
        settings(estimator="reinforce_pp", kl_coef=0.1, kl_estimator="k1", kl_in="reward"),
        settings(kind="gspo", mismatch_low=0.5, mismatch_high=2.0, mismatch_level="sequence"),
        settings(kind="cispo", old_policy="sampler", tis_cap=0.0),
        settings(dual_clip=3.0),
        settings(no_signal="resample"),
        LearnerSettings(deepspeed=DeepSpeedSettings(offload_optimizer=True, zero_stage=1)),
    ],
)
def test_what_goes_together_is_left_alone(chosen):
    refuse_contradictions(chosen)

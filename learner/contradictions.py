"""Settings of the learner that cannot both be meant; no engine is needed to know."""

from collections.abc import Iterator

from redline.learner.settings import CriticSettings, LearnerSettings, LossSettings


def refuse_contradictions(settings: LearnerSettings) -> None:
    """Raise ValueError naming the first two settings that contradict each other."""
    for message in _contradictions(settings):
        raise ValueError(message)


def _contradictions(settings: LearnerSettings) -> Iterator[str]:
    yield from _of_ranks(settings)
    yield from _of_zero(settings)
    yield from _of_critic(settings.loss, settings.critic)
    yield from _of_signal(settings.loss)
    yield from _of_ratio(settings.loss)
    yield from _of_mismatch(settings.loss)
    yield from _of_penalty(settings.loss)


def _of_ranks(settings: LearnerSettings) -> Iterator[str]:
    if settings.ranks > 1 and 0 < settings.num_gpus < 1:
        yield (
            f"learner.ranks={settings.ranks} with learner.num_gpus={settings.num_gpus:g} would let"
            " ranks share a GPU, which NCCL refuses: set num_gpus to 1, or ranks to 1"
        )


def _of_zero(settings: LearnerSettings) -> Iterator[str]:
    chosen = settings.deepspeed
    if chosen.offload_optimizer and chosen.zero_stage == 0:
        yield (
            "learner.deepspeed.offload_optimizer=true moves what ZeRO divides, but"
            " learner.deepspeed.zero_stage=0 divides nothing: set the stage to 1, 2 or 3, or leave"
            " offload_optimizer out"
        )


def _of_critic(loss: LossSettings, critic: CriticSettings) -> Iterator[str]:
    if loss.estimator == "gae" and critic.kind == "none":
        yield (
            "learner.loss.estimator='gae' needs a critic, but learner.critic.kind='none': set it to"
            " 'head', or choose an estimator without a critic"
        )
    if loss.estimator != "gae" and critic.kind != "none":
        yield (
            f"learner.critic.kind={critic.kind!r} gives a critic that learner.loss.estimator="
            f"{loss.estimator!r} never asks: use the estimator 'gae' or the kind 'none'"
        )
    if loss.estimator == "gae" and loss.credit != "reward_to_go":
        yield (
            f"learner.loss.credit={loss.credit!r} says nothing to learner.loss.estimator='gae',"
            " whose credit is learner.critic.gamma and gae_lambda: set credit to 'reward_to_go'"
        )


def _of_signal(loss: LossSettings) -> Iterator[str]:
    if loss.no_signal != "resample":
        return
    if loss.estimator == "gae":
        yield (
            "learner.loss.no_signal='resample' finds nothing to replace with"
            " learner.loss.estimator='gae', under which every group has a signal: set no_signal to"
            " 'keep', or choose another estimator"
        )
    if loss.max_resampled < 1:
        yield (
            "learner.loss.no_signal='resample' may replace nothing with"
            f" learner.loss.max_resampled={loss.max_resampled}: set it to 1 or more, or no_signal"
            " to 'drop'"
        )


def _of_ratio(loss: LossSettings) -> Iterator[str]:
    if loss.dual_clip and loss.kind == "cispo":
        yield (
            f"learner.loss.dual_clip={loss.dual_clip} bounds a surrogate that learner.loss.kind="
            "'cispo' does not have: set dual_clip to 0, or use the kind 'clipped' or 'gspo'"
        )
    if 0 < loss.dual_clip <= 1:
        yield (
            f"learner.loss.dual_clip={loss.dual_clip} leaves no gradient to negative advantages at"
            " the ratio 1: choose more than 1, or 0 to turn it off"
        )
    if loss.old_policy == "sampler" and loss.tis_cap > 0:
        yield (
            f"learner.loss.tis_cap={loss.tis_cap} corrects for the sampler a second time where"
            " learner.loss.old_policy='sampler' has its ratio already: set tis_cap to 0, or"
            " old_policy to 'learner'"
        )


def _of_mismatch(loss: LossSettings) -> Iterator[str]:
    low, high = loss.mismatch_low, loss.mismatch_high
    if low > 0 and 0 < high <= low:
        yield f"learner.loss.mismatch_low={low} is not below learner.loss.mismatch_high={high}"
    elif low >= 1 or 0 < high <= 1:
        yield (
            f"learner.loss.mismatch_low={low} and learner.loss.mismatch_high={high} leave out the"
            " ratio 1, at which learner and sampler agree: choose bounds below and above 1"
        )
    if 0 < loss.tis_cap <= low:
        yield (
            f"learner.loss.tis_cap={loss.tis_cap} is not above learner.loss.mismatch_low={low}:"
            " every token that the band leaves would have the same weight"
        )
    if (low or high) and loss.kind == "gspo" and loss.mismatch_level == "token":
        yield (
            "learner.loss.kind='gspo' has one ratio for a sequence, but"
            " learner.loss.mismatch_level='token' masks single tokens of it: set the level to"
            " 'sequence'"
        )


def _of_penalty(loss: LossSettings) -> Iterator[str]:
    if loss.kl_coef > 0 and loss.kl_in == "loss" and loss.kl_estimator == "k1":
        yield (
            "learner.loss.kl_estimator='k1' with learner.loss.kl_in='loss' has a gradient of zero"
            " in expectation: use 'k2' or 'k3' in the loss, or 'k1' in the reward"
        )

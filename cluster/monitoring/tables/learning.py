"""What the learner does and what the policy learns."""

from redline.cluster.monitoring.definitions import Kind, Metric, Role, curve


def _gauge(
    name: str, curve_name: str, unit: str, meaning: str, remedy: str, scale: float = 1.0
) -> Metric:
    """A number of the last step."""
    return Metric(
        name=name,
        kind=Kind.GAUGE,
        role=Role.LEARNER,
        unit=unit,
        meaning=meaning,
        remedy=remedy,
        curves=curve(curve_name),
        scale=scale,
    )


METRICS = (
    Metric(
        name="redline_trained_tokens",
        kind=Kind.COUNTER,
        role=Role.LEARNER,
        unit="tokens",
        meaning="Tokens of forward and backward in this attempt, padding not counted.",
        remedy="No growth while training: see `redline_last_step_timestamp_seconds`.",
    ),
    _gauge(
        "redline_trained_tokens_per_second", "perf/throughput", "1/s",
        "Trained tokens of the last step by its wall-clock time, waiting included.",
        "Low with an idle learner: it starves. Low without: more `learner.ranks` or threads.",
    ),
    _gauge(
        "redline_action_tokens_per_second", "perf/sampled_tokens_per_s", "1/s",
        "Action tokens of the last step's episodes by its wall-clock time.",
        "Low with a learner that waits: more samplers, or more episodes at once.",
    ),
    _gauge(
        "redline_learner_tokens_per_second", "perf/learner_tokens_per_s", "1/s",
        "Trained tokens of the last step by the time of its training alone.",
        "Low: larger `learner.micro_batch_tokens`, packed rows, more `learner.ranks`.",
    ),
    _gauge(
        "redline_model_flops_utilisation", "perf/mfu", "0 to 1",
        "Model FLOPs of the last step by those that the GPU could have done; 0 but on known GPUs.",
        "Low: larger `learner.micro_batch_tokens`, bfloat16, fewer ranks for a small model.",
    ),
    Metric(
        name="redline_weight_version",
        kind=Kind.GAUGE,
        role=Role.LEARNER,
        unit="version",
        meaning="Weight version that the learner has reached.",
        remedy="Stands while steps go on: steps are skipped, see `redline_skipped_steps`.",
    ),
    _gauge(
        "redline_reward_mean", "rollout/reward_mean", "reward",
        "Mean return of the last step's episodes.",
        "Falls for long: lower the learning rate, or go back to a checkpoint.",
    ),
    _gauge(
        "redline_solve_rate", "rollout/solve_rate", "0 to 1",
        "Share of the last step's episodes whose final program passed every test.",
        "Near 0 or 1, groups carry no signal: choose easier or harder tasks.",
    ),
    _gauge(
        "redline_turns_per_trajectory", "rollout/num_turns", "turns",
        "Mean turns of the last step's episodes.",
        "At `rollout.max_turns`: the policy never exits. At 1 while unsolved: it gives up.",
    ),
    _gauge(
        "redline_truncated_ratio", "rollout/truncated_rate", "0 to 1",
        "Share of the last step's episodes that ended because the context was full.",
        "Above a few percent: raise `rollout.engine.max_model_len`.",
    ),
    _gauge(
        "redline_policy_loss", "learner/pg_loss", "nats",
        "Loss of the policy in the last step.",
        "Its sign says little; only jumps do: compare with `redline_gradient_norm`.",
    ),
    _gauge(
        "redline_clipped_ratio", "learner/clipfrac", "0 to 1",
        "Share of action tokens whose probability ratio was clipped.",
        "Above 0.3: steps are too large; lower the learning rate or the staleness.",
    ),
    _gauge(
        "redline_entropy", "learner/entropy", "nats",
        "Mean entropy of the policy over action tokens.",
        "Falls to 0: it explores no more; raise `learner.loss.entropy_coef`. Rises without end: "
        "lower the learning rate.",
    ),
    _gauge(
        "redline_gradient_norm", "learner/grad_norm", "norm",
        "Gradient norm before clipping.",
        "Spikes far above its usual size: lower the learning rate.",
    ),
    _gauge(
        "redline_kl", "learner/kl", "nats",
        "Divergence from the reference policy per action token; 0 without a reference.",
        "Grows without end: raise `learner.loss.kl_coef`.",
    ),
    _gauge(
        "redline_mismatch_kl", "learner/mismatch_kl", "nats",
        "Divergence between sampler and learner at the sampler's weights (k3 estimate).",
        "Above 0.01: both compute different probabilities, see the runbook.",
    ),
    _gauge(
        "redline_masked_ratio", "learner/masked_fraction", "0 to 1",
        "Share of action tokens left out because sampler and learner disagree too much.",
        "Above a few percent: see mismatch of log-probabilities in the runbook.",
    ),
    _gauge(
        "redline_value_loss", "learner/value_loss", "loss",
        "Loss of the critic; 0 without one.",
        "Does not fall: raise the critic's learning rate.",
    ),
    _gauge(
        "redline_explained_variance", "learner/explained_variance", "1 is perfect",
        "How much of the returns the critic's values explain; 0 without a critic.",
        "Below 0 for long: the critic misleads; use an estimator without one.",
    ),
    _gauge(
        "redline_learning_rate", "learner/learning_rate", "rate",
        "Learning rate of the last step.",
        "None: it follows `learner.optimizer`.",
    ),
    _gauge(
        "redline_skipped_steps", "learner/skipped_steps", "steps",
        "Optimizer steps since step 1 that a loss or gradient cost that was not finite.",
        "Grows: lower the learning rate; with float16 or bfloat16 try float32.",
    ),
    _gauge(
        "redline_groups_without_signal", "learner/no_signal_groups", "groups",
        "Groups of the last step whose advantages are all zero.",
        "Most of the batch: tasks too easy or too hard, or groups too small.",
    ),
    _gauge(
        "redline_resampled_groups", "rollout/resampled_groups", "groups",
        "Groups that the last batch was topped up with in place of others without a signal.",
        "At `learner.loss.max_resampled`: tasks too easy or too hard, or groups too small.",
    ),
    _gauge(
        "redline_probe_max_abs_dlogp", "weights/max_abs_dlogp", "nats",
        "Largest difference between sampler and learner on the probe after the last push.",
        "Near `rollout.probe_tolerance`: see mismatch of log-probabilities in the runbook.",
    ),
    Metric(
        name="redline_probe_tolerance",
        kind=Kind.GAUGE,
        role=Role.CONTROLLER,
        unit="nats",
        meaning="Difference from which on pushed weights are refused (`rollout.probe_tolerance`, "
        "the largest of all kinds of samplers).",
        remedy="None: it does not change.",
    ),
    _gauge(
        "redline_weight_pause_seconds", "weights/pause_ms", "s",
        "Longest standstill of a sampler during the last push.",
        "Above 0.1 for a small policy: the samplers' machines are short of cores.",
        scale=1e-3,
    ),
)  # fmt: skip

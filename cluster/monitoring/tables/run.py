"""How the run as a whole goes."""

from redline.cluster.monitoring.definitions import Kind, Metric, Role, curve
from redline.replay.records import DropReason

_PHASES = {
    "timing/generation": {"phase": "generation"},
    "timing/wait_for_batch": {"phase": "wait_for_batch"},
    "timing/train_step": {"phase": "train_step"},
    "timing/learner_prepare": {"phase": "learner_prepare"},
    "timing/learner_update": {"phase": "learner_update"},
    "timing/weight_sync": {"phase": "weight_sync"},
}

METRICS = (
    Metric(
        name="redline_training",
        kind=Kind.GAUGE,
        role=Role.CONTROLLER,
        unit="0 or 1",
        meaning="1 while the training loop runs, 0 while a run starts, evaluates or has ended.",
        remedy="0 for long after the start: `redline top` names the phase and whom it waits for.",
    ),
    Metric(
        name="redline_last_step_timestamp_seconds",
        kind=Kind.GAUGE,
        role=Role.CONTROLLER,
        unit="s since 1970",
        meaning="End of the last step; before the first, the start of training.",
        remedy="Long ago while `redline_training` is 1: the run stalls, see the runbook.",
    ),
    Metric(
        name="redline_steps",
        kind=Kind.COUNTER,
        role=Role.CONTROLLER,
        unit="steps",
        meaning="Optimizer steps of this attempt that were trained, committed and pushed.",
        remedy="No growth while training: see `redline_last_step_timestamp_seconds`.",
    ),
    Metric(
        name="redline_step",
        kind=Kind.GAUGE,
        role=Role.CONTROLLER,
        unit="steps",
        meaning="Number of the last step, earlier attempts included.",
        remedy="Falls after a resume to the last checkpoint; batches after it are trained again.",
    ),
    Metric(
        name="redline_planned_steps",
        kind=Kind.GAUGE,
        role=Role.CONTROLLER,
        unit="steps",
        meaning="Steps that the run is to take (`steps`).",
        remedy="None: it does not change.",
    ),
    Metric(
        name="redline_trajectories",
        kind=Kind.COUNTER,
        role=Role.CONTROLLER,
        unit="trajectories",
        meaning="Episodes that steps of this attempt were trained on.",
        remedy="Slow growth: look which side idles (`redline_idle_ratio`) and add there.",
    ),
    Metric(
        name="redline_trajectories_per_second",
        kind=Kind.GAUGE,
        role=Role.CONTROLLER,
        unit="1/s",
        meaning="Episodes of the last step by its wall-clock time.",
        remedy="Low: look which side idles (`redline_idle_ratio`) and add workers there.",
        curves=curve("perf/trajectories_per_s"),
    ),
    Metric(
        name="redline_step_seconds",
        kind=Kind.GAUGE,
        role=Role.CONTROLLER,
        unit="s",
        meaning="Wall-clock time of the last step.",
        remedy="Long: `redline_last_phase_seconds` says in which phase.",
        curves=curve("timing/step"),
    ),
    Metric(
        name="redline_idle_ratio",
        kind=Kind.GAUGE,
        role=None,
        unit="0 to 1",
        meaning="Share of the last step in which a side had nothing to do: `sampler`, no group was "
        "being sampled; `learner`, it waited for a batch.",
        remedy="Learner high: more samplers or sandboxes. Sampler high: a faster learner, or a "
        "higher `max_staleness` so that more groups may be in flight.",
        curves={
            "rollouter/idle_ratio": {"role": Role.SAMPLER},
            "trainer/idle_ratio": {"role": Role.LEARNER},
        },
    ),
    Metric(
        name="redline_phase_seconds",
        kind=Kind.COUNTER,
        role=Role.CONTROLLER,
        unit="s",
        labels=("phase",),
        meaning="Time spent by phase, added up: `wait_for_batch`, `train_step` and `weight_sync` "
        "make a step, `learner_prepare` and `learner_update` its training; `generation` is the "
        "mean duration of its episodes, which overlap them.",
        remedy="The phase that grows fastest is the one to speed up.",
        curves=_PHASES,
    ),
    Metric(
        name="redline_last_phase_seconds",
        kind=Kind.GAUGE,
        role=Role.CONTROLLER,
        unit="s",
        labels=("phase",),
        meaning="The same of the last step alone, and of the last checkpoint (`checkpoint`).",
        remedy="A single phase that grows: wait_for_batch, see learner starving in the runbook; "
        "weight_sync, see `redline_weight_pause_seconds`; checkpoint, the disk is slow.",
        curves=_PHASES,
    ),
    Metric(
        name="redline_staleness_mean",
        kind=Kind.GAUGE,
        role=Role.LEARNER,
        unit="versions",
        meaning="Weight versions that the last step's tokens were behind, on average.",
        remedy="Near `max_staleness`: long episodes; lower `rollout.max_turns` or add samplers.",
        curves=curve("staleness/mean"),
    ),
    Metric(
        name="redline_staleness_max",
        kind=Kind.GAUGE,
        role=Role.LEARNER,
        unit="versions",
        meaning="Weight versions that the oldest token of the last step was behind.",
        remedy="Above `max_staleness`, which must not be: stop the run and report it.",
        curves=curve("staleness/max"),
    ),
    Metric(
        name="redline_max_staleness",
        kind=Kind.GAUGE,
        role=Role.CONTROLLER,
        unit="versions",
        meaning="The bound that the run keeps (`max_staleness`).",
        remedy="None: it does not change.",
    ),
    Metric(
        name="redline_dropped_trajectories",
        kind=Kind.COUNTER,
        role=Role.LEARNER,
        unit="trajectories",
        labels=("reason",),
        meaning="Episodes of trained batches that taught nothing: `stale`, `no_signal` (all of "
        "a group got the same), `aborted`, `too_long`, `non_finite`.",
        remedy="no_signal: tasks too easy or too hard. aborted: see sandbox errors and the "
        "samplers' logs. too_long: raise `learner.micro_batch_tokens`. non_finite: lower the "
        "learning rate.",
        curves={f"dropped/{reason}": {"reason": reason.value} for reason in DropReason},
    ),
    Metric(
        name="redline_heldout_solve_rate",
        kind=Kind.GAUGE,
        role=Role.CONTROLLER,
        unit="0 to 1",
        labels=("arm",),
        meaning="Held-out tasks solved in the last evaluation: `greedy` and `sampled`.",
        remedy="Below its start: the policy got worse; see `redline_kl` and `redline_entropy`.",
        curves={
            "heldout/greedy": {"arm": "greedy"},
            "heldout/sampled": {"arm": "sampled"},
        },
    ),
    Metric(
        name="redline_driver_resident_bytes",
        kind=Kind.GAUGE,
        role=Role.CONTROLLER,
        unit="bytes",
        meaning="Resident memory of the driver and its descendants: with a local cluster, of "
        "the whole run. Shared pages count once per process.",
        remedy="Steady growth: report it. Near the machine's memory: lower "
        "`rollout.engine.kv_cache_gib` or `learner.micro_batch_tokens`.",
    ),
)

"""Rows of the Grafana dashboard that tell how the learning goes."""

from redline.cluster.monitoring.panels import RATE, Panel, Row, one

GLANCE = Row(
    title="At a glance",
    panels=(
        Panel(title="Step", queries=one("max(@step)"), stat=True, unit="none"),
        Panel(
            title="Since the last step",
            queries=one("time() - max(@last_step_timestamp_seconds)"),
            stat=True,
            unit="s",
        ),
        Panel(
            title="Trajectories per second",
            queries=one("max(@trajectories_per_second)"),
            stat=True,
        ),
        Panel(title="Solved", queries=one("max(@solve_rate)"), stat=True, unit="percentunit"),
        Panel(
            title="Workers serving",
            queries=one('sum(@workers{state="serving"})'),
            stat=True,
            unit="none",
        ),
        Panel(
            title="Learner idle",
            queries=one('max(@idle_ratio{role="learner"})'),
            stat=True,
            unit="percentunit",
        ),
    ),
)

THROUGHPUT = Row(
    title="Throughput",
    panels=(
        Panel(
            title="Trajectories per second",
            queries=(
                (f"sum(rate(@trajectories{RATE}))", "trained"),
                (f"sum(rate(@sampled_episodes{RATE}))", "sampled"),
            ),
        ),
        Panel(
            title="Tokens per second",
            queries=(
                (f"sum(rate(@trained_tokens{RATE}))", "trained"),
                (f"sum(rate(@sampled_tokens{RATE}))", "sampled"),
                (f"sum(rate(@state_tokens{RATE}))", "read as states"),
                ("max(@trained_tokens_per_second)", "trained, last step"),
                ("max(@action_tokens_per_second)", "sampled for the last step"),
                ("max(@learner_tokens_per_second)", "trained, while training"),
            ),
        ),
        Panel(
            title="Steps and groups per minute",
            queries=(
                (f"60 * sum(rate(@steps{RATE}))", "steps"),
                (f"60 * sum(rate(@sampled_groups{RATE}))", "groups sampled"),
            ),
        ),
        Panel(
            title="Steps done and planned",
            queries=(("max(@step)", "done"), ("max(@planned_steps)", "planned")),
        ),
    ),
)

LEARNING = Row(
    title="Learning",
    panels=(
        Panel(
            title="Solve rate",
            queries=(
                ("max(@solve_rate)", "training episodes"),
                ("max by (arm) (@heldout_solve_rate)", "held-out, {{arm}}"),
            ),
            unit="percentunit",
        ),
        Panel(title="Reward", queries=one("max(@reward_mean)", "mean return")),
        Panel(
            title="Turns per episode",
            queries=(
                ("max(@turns_per_trajectory)", "trained"),
                (
                    f"sum(rate(@sampled_turns{RATE})) / sum(rate(@sampled_episodes{RATE}))",
                    "sampled",
                ),
            ),
        ),
        Panel(
            title="Policy",
            queries=(("max(@entropy)", "entropy"), ("max(@kl)", "KL to the reference")),
        ),
        Panel(
            title="Loss",
            queries=(("max(@policy_loss)", "policy"), ("max(@value_loss)", "critic")),
        ),
        Panel(
            title="Gradient norm and learning rate",
            queries=(
                ("max(@gradient_norm)", "gradient norm"),
                ("1000 * max(@learning_rate)", "learning rate × 1000"),
            ),
        ),
        Panel(
            title="Left out",
            queries=(
                ("max(@clipped_ratio)", "clipped tokens"),
                ("max(@masked_ratio)", "masked tokens"),
                ("max(@truncated_ratio)", "truncated episodes"),
            ),
            unit="percentunit",
        ),
        Panel(
            title="Dropped episodes by reason, per minute",
            queries=one(f"60 * sum by (reason) (rate(@dropped_trajectories{RATE}))", "{{reason}}"),
        ),
        Panel(
            title="Without use",
            queries=(
                ("max(@groups_without_signal)", "groups without signal"),
                ("max(@resampled_groups)", "groups in their place"),
                ("max(@skipped_steps)", "skipped steps"),
            ),
        ),
        Panel(title="Critic", queries=one("max(@explained_variance)", "explained variance")),
    ),
)

BALANCE = Row(
    title="Balance and weights",
    panels=(
        Panel(
            title="Idle",
            queries=one("max by (role) (@idle_ratio)", "{{role}}"),
            unit="percentunit",
        ),
        Panel(
            title="Share of time by phase",
            queries=one(
                'sum by (phase) (rate(@phase_seconds{phase!~"generation|learner_.*"}'
                "[$__rate_interval]))",
                "{{phase}}",
            ),
            unit="percentunit",
        ),
        Panel(
            title="Last step by phase",
            queries=(
                ("max by (phase) (@last_phase_seconds)", "{{phase}}"),
                ("max(@step_seconds)", "step"),
            ),
            unit="s",
        ),
        Panel(
            title="Model FLOPs utilisation",
            queries=one("max(@model_flops_utilisation)"),
            unit="percentunit",
        ),
        Panel(title="Groups", queries=one("max by (state) (@groups)", "{{state}}")),
        Panel(
            title="Staleness",
            queries=(
                ("max(@staleness_mean)", "mean"),
                ("max(@staleness_max)", "oldest token"),
                ("max(@max_staleness)", "bound"),
            ),
        ),
        Panel(
            title="Weight versions",
            queries=(
                ("max(@weight_version)", "learner"),
                ("max by (worker) (@sampler_version)", "{{worker}}"),
            ),
        ),
        Panel(
            title="Pause of a push",
            queries=one("max(@weight_pause_seconds)", "longest"),
            unit="s",
        ),
        Panel(
            title="Sampler against learner",
            queries=(
                ("max(@probe_max_abs_dlogp)", "probe"),
                ("max(@probe_tolerance)", "tolerance of the probe"),
                ("max(@mismatch_kl)", "KL of trained tokens"),
            ),
        ),
    ),
)

TRAINING_ROWS = (GLANCE, THROUGHPUT, LEARNING, BALANCE)

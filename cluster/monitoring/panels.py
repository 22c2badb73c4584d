"""What the Grafana dashboard shows, row by row; `grafana.py` turns it into Grafana's JSON.

Queries are in the short form of `queries.py`. `$__rate_interval` is Grafana's own: long enough for
four scrapes.
"""

from dataclasses import dataclass

_RATE = "[$__rate_interval]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture, or with `stat` one large number."""

    title: str
    queries: tuple[tuple[str, str], ...]
    """Short query and legend of each line."""
    unit: str = "short"
    """Grafana's name of the unit."""
    stat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


def _by_worker(name: str) -> tuple[tuple[str, str], ...]:
    return ((f"max by (worker) (@{name})", "{{worker}}"),)


def _one(query: str, legend: str = "") -> tuple[tuple[str, str], ...]:
    return ((query, legend),)


GLANCE = Row(
    title="At a glance",
    panels=(
        Panel(title="Step", queries=_one("max(@step)"), stat=True, unit="none"),
        Panel(
            title="Since the last step",
            queries=_one("time() - max(@last_step_timestamp_seconds)"),
            stat=True,
            unit="s",
        ),
        Panel(
            title="Trajectories per second",
            queries=_one("max(@trajectories_per_second)"),
            stat=True,
        ),
        Panel(title="Solved", queries=_one("max(@solve_rate)"), stat=True, unit="percentunit"),
        Panel(
            title="Workers serving",
            queries=_one('sum(@workers{state="serving"})'),
            stat=True,
            unit="none",
        ),
        Panel(
            title="Learner idle",
            queries=_one('max(@idle_ratio{role="learner"})'),
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
                (f"sum(rate(@trajectories{_RATE}))", "trained"),
                (f"sum(rate(@sampled_episodes{_RATE}))", "sampled"),
            ),
        ),
        Panel(
            title="Tokens per second",
            queries=(
                (f"sum(rate(@trained_tokens{_RATE}))", "trained"),
                (f"sum(rate(@sampled_tokens{_RATE}))", "sampled"),
                (f"sum(rate(@state_tokens{_RATE}))", "read as states"),
                ("max(@trained_tokens_per_second)", "trained, last step"),
                ("max(@action_tokens_per_second)", "sampled for the last step"),
                ("max(@learner_tokens_per_second)", "trained, while training"),
            ),
        ),
        Panel(
            title="Steps and groups per minute",
            queries=(
                (f"60 * sum(rate(@steps{_RATE}))", "steps"),
                (f"60 * sum(rate(@sampled_groups{_RATE}))", "groups sampled"),
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
        Panel(title="Reward", queries=_one("max(@reward_mean)", "mean return")),
        Panel(
            title="Turns per episode",
            queries=(
                ("max(@turns_per_trajectory)", "trained"),
                (
                    f"sum(rate(@sampled_turns{_RATE})) / sum(rate(@sampled_episodes{_RATE}))",
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
            queries=_one(
                f"60 * sum by (reason) (rate(@dropped_trajectories{_RATE}))", "{{reason}}"
            ),
        ),
        Panel(
            title="Without use",
            queries=(
                ("max(@groups_without_signal)", "groups without signal"),
                ("max(@resampled_groups)", "groups in their place"),
                ("max(@skipped_steps)", "skipped steps"),
            ),
        ),
        Panel(title="Critic", queries=_one("max(@explained_variance)", "explained variance")),
    ),
)

BALANCE = Row(
    title="Balance and weights",
    panels=(
        Panel(
            title="Idle",
            queries=_one("max by (role) (@idle_ratio)", "{{role}}"),
            unit="percentunit",
        ),
        Panel(
            title="Share of time by phase",
            queries=_one(
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
            queries=_one("max(@model_flops_utilisation)"),
            unit="percentunit",
        ),
        Panel(title="Groups", queries=_one("max by (state) (@groups)", "{{state}}")),
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
            queries=_one("max(@weight_pause_seconds)", "longest"),
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

SAMPLERS = Row(
    title="Samplers and engines",
    panels=(
        Panel(title="Episodes running", queries=_by_worker("running_episodes")),
        Panel(title="Sampled tokens per second", queries=_by_worker("sampled_tokens_per_second")),
        Panel(
            title="Aborted episodes and weight updates, per minute",
            queries=(
                (f"60 * sum by (worker) (rate(@aborted_episodes{_RATE}))", "{{worker}} aborted"),
                (f"60 * sum by (worker) (rate(@weight_updates{_RATE}))", "{{worker}} updates"),
            ),
        ),
        Panel(
            title="Engine requests",
            queries=(
                ("max by (worker) (@engine_running_requests)", "{{worker}} running"),
                ("max by (worker) (@engine_waiting_requests)", "{{worker}} waiting"),
            ),
        ),
        Panel(title="KV cache", queries=_by_worker("engine_kv_cache_ratio"), unit="percentunit"),
        Panel(
            title="Prefix cache hits",
            queries=_one(
                f"sum by (worker) (rate(@engine_prefix_hit_tokens{_RATE})) / "
                f"sum by (worker) (rate(@engine_prefix_queried_tokens{_RATE}))",
                "{{worker}}",
            ),
            unit="percentunit",
        ),
        Panel(
            title="Engine tokens per second",
            queries=(
                (f"sum(rate(@engine_prompt_tokens{_RATE}))", "prompts computed"),
                (f"sum(rate(@engine_generated_tokens{_RATE}))", "generated"),
            ),
        ),
        Panel(
            title="Engine steps and preemptions per second",
            queries=(
                (f"sum(rate(@engine_steps{_RATE}))", "steps"),
                (f"sum(rate(@engine_preemptions{_RATE}))", "preemptions"),
            ),
        ),
        Panel(
            title="Time to the first token",
            queries=_one(
                f"sum by (worker) (rate(@engine_first_token_seconds{_RATE})) / "
                f"sum by (worker) (rate(@engine_first_tokens{_RATE}))",
                "{{worker}}",
            ),
            unit="s",
        ),
        Panel(title="Start of the engine", queries=_by_worker("sampler_start_seconds"), unit="s"),
    ),
)

SANDBOXES = Row(
    title="Sandboxes",
    panels=(
        Panel(
            title="Executions per second",
            queries=(
                (f"sum(rate(@sandbox_executions{_RATE}))", "all"),
                ("max by (worker) (@sandbox_executions_per_second)", "{{worker}}"),
            ),
        ),
        Panel(
            title="Running and queued",
            queries=(
                ("sum(@sandbox_running)", "running"),
                ("sum(@sandbox_queued)", "queued"),
                ("sum(@sandbox_servers)", "servers"),
            ),
        ),
        Panel(
            title="Programs ended by reason, per second",
            queries=_one(f"sum by (reason) (rate(@sandbox_kills{_RATE}))", "{{reason}}"),
        ),
        Panel(
            title="Tests by status, per second",
            queries=_one(f"sum by (status) (rate(@sandbox_tests{_RATE}))", "{{status}}"),
        ),
        Panel(
            title="Failures per minute",
            queries=(
                (f"60 * sum(rate(@sandbox_infrastructure_errors{_RATE}))", "no verdict"),
                (f"60 * sum(rate(@sandbox_retries{_RATE}))", "retried"),
                (f"60 * sum(rate(@sandbox_servers_started{_RATE}))", "servers started"),
                (f"60 * sum(rate(@sandbox_unhealthy_servers{_RATE}))", "unhealthy servers"),
            ),
        ),
    ),
)

FLEET = Row(
    title="Fleet and store",
    panels=(
        Panel(
            title="Workers",
            queries=_one("sum by (role, state) (@workers)", "{{role}} {{state}}"),
        ),
        Panel(title="Restarts", queries=_one("sum by (role) (@worker_restarts)", "{{role}}")),
        Panel(
            title="Store",
            queries=(("max(@store_bytes)", "sealed segments"),),
            unit="bytes",
        ),
        Panel(
            title="Groups of the store",
            queries=(
                ("max(@store_committed_groups)", "trained on"),
                ("max(@store_dropped_groups)", "dropped"),
                ("max(@store_lost_groups)", "lost"),
                ("max(@store_segments)", "segments"),
            ),
        ),
        Panel(
            title="Memory of the driver and what it started",
            queries=_one("max(@driver_resident_bytes)", "resident"),
            unit="bytes",
        ),
    ),
)

ROWS = (GLANCE, THROUGHPUT, LEARNING, BALANCE, SAMPLERS, SANDBOXES, FLEET)

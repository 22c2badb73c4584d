"""Rows of the Grafana dashboard that tell how the workers and the store are."""

from redline.cluster.monitoring.panels import RATE, Panel, Row, by_worker, one

SAMPLERS = Row(
    title="Samplers and engines",
    panels=(
        Panel(title="Episodes running", queries=by_worker("running_episodes")),
        Panel(title="Sampled tokens per second", queries=by_worker("sampled_tokens_per_second")),
        Panel(
            title="Aborted episodes and weight updates, per minute",
            queries=(
                (f"60 * sum by (worker) (rate(@aborted_episodes{RATE}))", "{{worker}} aborted"),
                (f"60 * sum by (worker) (rate(@weight_updates{RATE}))", "{{worker}} updates"),
            ),
        ),
        Panel(
            title="Engine requests",
            queries=(
                ("max by (worker) (@engine_running_requests)", "{{worker}} running"),
                ("max by (worker) (@engine_waiting_requests)", "{{worker}} waiting"),
            ),
        ),
        Panel(title="KV cache", queries=by_worker("engine_kv_cache_ratio"), unit="percentunit"),
        Panel(
            title="Prefix cache hits",
            queries=one(
                f"sum by (worker) (rate(@engine_prefix_hit_tokens{RATE})) / "
                f"sum by (worker) (rate(@engine_prefix_queried_tokens{RATE}))",
                "{{worker}}",
            ),
            unit="percentunit",
        ),
        Panel(
            title="Engine tokens per second",
            queries=(
                (f"sum(rate(@engine_prompt_tokens{RATE}))", "prompts computed"),
                (f"sum(rate(@engine_generated_tokens{RATE}))", "generated"),
            ),
        ),
        Panel(
            title="Engine steps and preemptions per second",
            queries=(
                (f"sum(rate(@engine_steps{RATE}))", "steps"),
                (f"sum(rate(@engine_preemptions{RATE}))", "preemptions"),
            ),
        ),
        Panel(
            title="Time to the first token",
            queries=one(
                f"sum by (worker) (rate(@engine_first_token_seconds{RATE})) / "
                f"sum by (worker) (rate(@engine_first_tokens{RATE}))",
                "{{worker}}",
            ),
            unit="s",
        ),
        Panel(title="Start of the engine", queries=by_worker("sampler_start_seconds"), unit="s"),
    ),
)

SANDBOXES = Row(
    title="Sandboxes",
    panels=(
        Panel(
            title="Executions per second",
            queries=(
                (f"sum(rate(@sandbox_executions{RATE}))", "all"),
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
            queries=one(f"sum by (reason) (rate(@sandbox_kills{RATE}))", "{{reason}}"),
        ),
        Panel(
            title="Tests by status, per second",
            queries=one(f"sum by (status) (rate(@sandbox_tests{RATE}))", "{{status}}"),
        ),
        Panel(
            title="Failures per minute",
            queries=(
                (f"60 * sum(rate(@sandbox_infrastructure_errors{RATE}))", "no verdict"),
                (f"60 * sum(rate(@sandbox_retries{RATE}))", "retried"),
                (f"60 * sum(rate(@sandbox_servers_started{RATE}))", "servers started"),
                (f"60 * sum(rate(@sandbox_unhealthy_servers{RATE}))", "unhealthy servers"),
            ),
        ),
    ),
)

FLEET = Row(
    title="Fleet and store",
    panels=(
        Panel(
            title="Workers",
            queries=one("sum by (role, state) (@workers)", "{{role}} {{state}}"),
        ),
        Panel(title="Restarts", queries=one("sum by (role) (@worker_restarts)", "{{role}}")),
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
            queries=one("max(@driver_resident_bytes)", "resident"),
            unit="bytes",
        ),
    ),
)

WORKER_ROWS = (SAMPLERS, SANDBOXES, FLEET)

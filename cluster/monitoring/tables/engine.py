"""What each sampler's vLLM engine tells, with `rollout.engine.stats` on."""

from functools import partial

from redline.cluster.monitoring.definitions import Kind, Role, of_worker

_of_engine = partial(of_worker, Role.SAMPLER)

METRICS = (
    _of_engine(
        "redline_engine_running_requests", Kind.GAUGE, "requests",
        "Requests that the engine's last step worked on.",
        "Low while episodes run: they wait for sandboxes.",
    ),
    _of_engine(
        "redline_engine_waiting_requests", Kind.GAUGE, "requests",
        "Requests that wait for room in the engine's batch.",
        "Above 0 for long: raise `rollout.engine.max_num_seqs` or the KV cache.",
    ),
    _of_engine(
        "redline_engine_kv_cache_ratio", Kind.GAUGE, "0 to 1",
        "Share of the KV cache's blocks in use.",
        "Near 1: requests are preempted; raise `rollout.engine.kv_cache_gib`.",
    ),
    _of_engine(
        "redline_engine_prefix_queried_tokens", Kind.COUNTER, "tokens",
        "Prompt tokens that were looked up in the prefix cache.",
        "Compare with `redline_engine_prefix_hit_tokens`.",
    ),
    _of_engine(
        "redline_engine_prefix_hit_tokens", Kind.COUNTER, "tokens",
        "Prompt tokens that were found in the prefix cache.",
        "Below half of the looked up: the KV cache is too small for the episodes in flight.",
    ),
    _of_engine(
        "redline_engine_prompt_tokens", Kind.COUNTER, "tokens",
        "Prompt tokens that the engine computed: those that its prefix cache did not have.",
        "Grows faster than sampled tokens: see the prefix cache.",
    ),
    _of_engine(
        "redline_engine_generated_tokens", Kind.COUNTER, "tokens",
        "Tokens that the engine sampled, warm-up and probes included.",
        "As `redline_sampled_tokens`.",
    ),
    _of_engine(
        "redline_engine_preemptions", Kind.COUNTER, "requests",
        "Requests that lost their place in the KV cache and were computed anew.",
        "Grows: raise `rollout.engine.kv_cache_gib` or lower `rollout.concurrent_episodes`.",
    ),
    _of_engine(
        "redline_engine_steps", Kind.COUNTER, "steps",
        "Steps of the engine: batches that were computed.",
        "No growth with running requests: the engine hangs.",
    ),
    _of_engine(
        "redline_engine_first_token_seconds", Kind.COUNTER, "s",
        "Seconds from request to first token, added up.",
        "Divided by `redline_engine_first_tokens` above a second: the engine is overloaded.",
    ),
    _of_engine(
        "redline_engine_first_tokens", Kind.COUNTER, "requests",
        "Requests that got their first token.",
        "See `redline_engine_first_token_seconds`.",
    ),
)  # fmt: skip

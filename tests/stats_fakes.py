"""What the workers of a run tell of themselves, made up."""

from redline.actors.records import EngineStats, SamplerStats
from redline.replay.store_records import StoreStats
from redline.sandbox.tally import PoolStats


def make_engine(**changes):
    values = {
        "running": 3, "waiting": 1, "kv_cache_usage": 0.5, "prefix_queried_tokens": 100,
        "prefix_hit_tokens": 60, "prompt_tokens": 40, "generated_tokens": 30, "preemptions": 0,
        "steps": 12, "first_token_seconds": 0.5, "first_tokens": 4,
    }  # fmt: skip
    return EngineStats(**{**values, **changes})


def make_sampler(**changes):
    values = {
        "worker": "sampler-0", "version": 2, "running": 5, "groups": 1, "episodes": 8, "aborted": 1,
        "turns": 20, "tokens_sampled": 300, "tokens_state": 900, "updates": 2, "seconds_start": 9.5,
    }  # fmt: skip
    return SamplerStats(**{**values, **changes})


def make_pool(**changes):
    values = {
        "workers": 2, "executions": 50, "running": 2, "queued": 7, "retries": 1,
        "infrastructure_errors": 0, "servers_started": 3, "unhealthy": 1,
        "statuses": {"pass": 40, "timeout": 10}, "kills": {"cpu": 9, "SIGSYS": 1},
    }  # fmt: skip
    return PoolStats(**{**values, **changes})


def make_store():
    return StoreStats(
        buffered=1, available=3, leased=2, committed=40, dropped_groups=0, dropped=(), retired=0,
        trajectories=300, segments=5, nbytes=12345, quarantined=(), lost=("g1",),
    )  # fmt: skip

"""What is counted of an engine's steps, as vLLM's records tell them."""

from types import SimpleNamespace

from redline.actors.engine_counts import EngineCounts


def scheduler(running=2, **changes):
    values = {
        "num_running_reqs": running,
        "num_waiting_reqs": 1,
        "kv_cache_usage": 0.25,
        "prefix_cache_stats": SimpleNamespace(queries=100, hits=60),
    }
    return SimpleNamespace(**{**values, **changes})


def iteration(**changes):
    values = {
        "num_generation_tokens": 5,
        "num_prompt_tokens": 100,
        "num_preempted_reqs": 1,
        "prompt_token_stats": SimpleNamespace(computed=40),
        "time_to_first_tokens_iter": [0.5, 0.25],
    }
    return SimpleNamespace(**{**values, **changes})


def test_steps_are_added_up_and_the_last_one_is_the_state():
    counts = EngineCounts()
    counts.log_engine_initialized()
    counts.record(scheduler(running=2), iteration(), mm_cache_stats=None, engine_idx=0)
    counts.record(scheduler(running=7), iteration(), mm_cache_stats=None, engine_idx=0)
    counts.log()
    stats = counts.stats()
    assert (stats.running, stats.waiting, stats.kv_cache_usage) == (7, 1, 0.25)
    assert (stats.prefix_queried_tokens, stats.prefix_hit_tokens) == (200, 120)
    assert (stats.prompt_tokens, stats.generated_tokens) == (80, 10)
    assert (stats.steps, stats.preemptions) == (2, 2)
    assert (stats.first_token_seconds, stats.first_tokens) == (1.5, 4)


def test_records_that_are_not_there_count_nothing():
    counts = EngineCounts()
    counts.record(None, iteration())
    counts.record(scheduler(), None)
    assert counts.stats().steps == 1
    assert counts.stats().running == 2


def test_an_older_release_tells_less():
    counts = EngineCounts()
    older = iteration()
    del older.prompt_token_stats
    counts.record(scheduler(prefix_cache_stats=None), older)
    stats = counts.stats()
    assert (stats.prompt_tokens, stats.prefix_queried_tokens) == (100, 0)

"""Counts what an engine tells about each of its steps.

It stands where vLLM expects one of its stat loggers, for one engine. The fields of vLLM's records
move from release to release, so those that a release lacks count nothing.
"""

from typing import Any

from redline.actors.records import EngineStats


class EngineCounts:
    """Sums since the engine's start, and the state of its last step."""

    def __init__(self) -> None:
        self._running = self._waiting = self._steps = 0
        self._kv_cache_usage = self._first_token_seconds = 0.0
        self._queried = self._hits = self._prompt = self._generated = 0
        self._preemptions = self._first_tokens = 0

    def stats(self) -> EngineStats:
        """The counts now."""
        return EngineStats(
            running=self._running,
            waiting=self._waiting,
            kv_cache_usage=self._kv_cache_usage,
            prefix_queried_tokens=self._queried,
            prefix_hit_tokens=self._hits,
            prompt_tokens=self._prompt,
            generated_tokens=self._generated,
            preemptions=self._preemptions,
            steps=self._steps,
            first_token_seconds=self._first_token_seconds,
            first_tokens=self._first_tokens,
        )

    def record(self, scheduler_stats: Any, iteration_stats: Any, *_: Any, **__: Any) -> None:
        """Called by vLLM after each step with its records; either may be None."""
        if scheduler_stats is not None:
            self._record_scheduler(scheduler_stats)
        if iteration_stats is not None:
            self._record_iteration(iteration_stats)

    def log_engine_initialized(self) -> None:
        """Called by vLLM once; nothing to do."""

    def log(self) -> None:
        """Called by vLLM when it wants a log line; there is none."""

    def record_sleep_state(self, *_: Any) -> None:
        """Called by vLLM when the engine sleeps, which it never does here."""

    def record_admission_rejection(self, reason: str) -> None:
        """Called by vLLM when it refuses a request, which is raised to its caller as well."""

    def _record_scheduler(self, stats: Any) -> None:
        self._running = stats.num_running_reqs
        self._waiting = stats.num_waiting_reqs
        self._kv_cache_usage = stats.kv_cache_usage
        cache = getattr(stats, "prefix_cache_stats", None)
        if cache is not None:
            self._queried += cache.queries
            self._hits += cache.hits

    def _record_iteration(self, stats: Any) -> None:
        self._steps += 1
        prompt = getattr(stats, "prompt_token_stats", None)
        self._prompt += stats.num_prompt_tokens if prompt is None else prompt.computed
        self._generated += stats.num_generation_tokens
        self._preemptions += stats.num_preempted_reqs
        self._first_token_seconds += sum(stats.time_to_first_tokens_iter)
        self._first_tokens += len(stats.time_to_first_tokens_iter)

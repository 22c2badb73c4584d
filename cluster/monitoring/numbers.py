"""What workers and steps tell, put on the board; and a worker's own numbers for the status file."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from redline.actors.records import EngineStats, SamplerStats
from redline.cluster.loop.records import StepReport
from redline.cluster.monitoring.board import Board
from redline.cluster.monitoring.definitions import Role
from redline.replay.store_records import StoreStats
from redline.sandbox.records import TestStatus
from redline.sandbox.tally import PoolStats

Stats = SamplerStats | PoolStats | StoreStats
_WINDOW_SECONDS = 10.0


class Numbers:
    """Turns what is told into numbers of a board."""

    def __init__(self, board: Board, clock: Callable[[], float] = time.monotonic) -> None:
        self._board = board
        self._clock = clock
        self._rates: dict[tuple[str, str], Rate] = {}

    def take(self, worker: str, stats: Stats) -> Role:
        """Put what a worker told on the board; returns what kind of worker it is."""
        if isinstance(stats, SamplerStats):
            self._take_sampler(worker, stats)
            return Role.SAMPLER
        if isinstance(stats, PoolStats):
            self._take_sandbox(worker, stats)
            return Role.SANDBOX
        self._take_store(stats)
        return Role.REPLAY

    def take_step(self, report: StepReport, curves: dict[str, float], step: int) -> None:
        """Put a step on the board."""
        board, result = self._board, report.result
        board.take_curves(curves)
        board.add("redline_steps", 1)
        board.add("redline_trajectories", result.trajectories)
        board.add("redline_trained_tokens", result.tokens)
        board.set("redline_step", step)
        board.set("redline_weight_version", result.weight_version)
        board.set("redline_groups", report.in_flight, state="in_flight")

    def _take_sampler(self, worker: str, stats: SamplerStats) -> None:
        board = self._board
        for name, total in {
            "redline_sampled_tokens": stats.tokens_sampled,
            "redline_state_tokens": stats.tokens_state,
            "redline_sampled_groups": stats.groups,
            "redline_sampled_episodes": stats.episodes,
            "redline_aborted_episodes": stats.aborted,
            "redline_sampled_turns": stats.turns,
            "redline_weight_updates": stats.updates,
        }.items():
            board.follow(name, total, worker=worker)
        rate = self._rate(worker, "tokens", stats.tokens_sampled)
        board.set("redline_sampled_tokens_per_second", rate, worker=worker)
        board.set("redline_running_episodes", stats.running, worker=worker)
        version = -1 if stats.version is None else stats.version
        board.set("redline_sampler_version", version, worker=worker)
        board.set("redline_sampler_start_seconds", stats.seconds_start, worker=worker)
        if stats.engine is not None:
            self._take_engine(worker, stats.engine)

    def _take_engine(self, worker: str, stats: EngineStats) -> None:
        board = self._board
        board.set("redline_engine_running_requests", stats.running, worker=worker)
        board.set("redline_engine_waiting_requests", stats.waiting, worker=worker)
        board.set("redline_engine_kv_cache_ratio", stats.kv_cache_usage, worker=worker)
        for name, total in {
            "redline_engine_prefix_queried_tokens": stats.prefix_queried_tokens,
            "redline_engine_prefix_hit_tokens": stats.prefix_hit_tokens,
            "redline_engine_prompt_tokens": stats.prompt_tokens,
            "redline_engine_generated_tokens": stats.generated_tokens,
            "redline_engine_preemptions": stats.preemptions,
            "redline_engine_steps": stats.steps,
            "redline_engine_first_token_seconds": stats.first_token_seconds,
            "redline_engine_first_tokens": stats.first_tokens,
        }.items():
            board.follow(name, total, worker=worker)

    def _take_sandbox(self, worker: str, stats: PoolStats) -> None:
        board = self._board
        for name, total in {
            "redline_sandbox_executions": stats.executions,
            "redline_sandbox_retries": stats.retries,
            "redline_sandbox_infrastructure_errors": stats.infrastructure_errors,
            "redline_sandbox_servers_started": stats.servers_started,
            "redline_sandbox_unhealthy_servers": stats.unhealthy,
        }.items():
            board.follow(name, total, worker=worker)
        rate = self._rate(worker, "executions", stats.executions)
        board.set("redline_sandbox_executions_per_second", rate, worker=worker)
        board.set("redline_sandbox_running", stats.running, worker=worker)
        board.set("redline_sandbox_queued", stats.queued, worker=worker)
        board.set("redline_sandbox_servers", stats.workers, worker=worker)
        # Known from the start, so that a first kill is seen as growth.
        statuses: dict[str, int] = {status.value: 0 for status in TestStatus}
        for status, total in {**statuses, **stats.statuses}.items():
            board.follow("redline_sandbox_tests", total, worker=worker, status=status)
        for reason, total in {"cpu": 0, "wall": 0, **stats.kills}.items():
            board.follow("redline_sandbox_kills", total, worker=worker, reason=reason)

    def _take_store(self, stats: StoreStats) -> None:
        board = self._board
        board.set("redline_groups", stats.buffered, state="buffered")
        board.set("redline_groups", stats.available, state="available")
        board.set("redline_groups", stats.leased, state="leased")
        board.set("redline_store_committed_groups", stats.committed)
        board.set("redline_store_dropped_groups", stats.dropped_groups)
        board.set("redline_store_bytes", stats.nbytes)
        board.set("redline_store_segments", stats.segments)
        board.set("redline_store_lost_groups", len(stats.lost))

    def _rate(self, worker: str, what: str, total: float) -> float:
        rate = self._rates.setdefault((worker, what), Rate())
        return rate.of(total, self._clock())


class Rate:
    """Growth per second of a count over the last seconds."""

    def __init__(self, window_seconds: float = _WINDOW_SECONDS) -> None:
        self._window = window_seconds
        self._points: deque[tuple[float, float]] = deque()

    def of(self, total: float, now: float) -> float:
        """The rate after one more look; 0 at the first one and after a restart of the count."""
        points = self._points
        if points and total < points[-1][1]:
            points.clear()
        points.append((now, total))
        while len(points) > 2 and points[1][0] <= now - self._window:
            points.popleft()
        began, before = points[0]
        return (total - before) / (now - began) if now > began else 0.0


def own_numbers(stats: Stats) -> dict[str, float]:
    """The numbers of a worker's record by name; counts by name become `name/KEY`."""
    found: dict[str, float] = {}
    for item in fields(stats):
        _collect(found, item.name, getattr(stats, item.name))
    return found


def _collect(found: dict[str, float], name: str, value: Any) -> None:
    if isinstance(value, EngineStats):
        for item in fields(value):
            _collect(found, f"engine/{item.name}", getattr(value, item.name))
    elif isinstance(value, dict):
        found |= {f"{name}/{key}": float(count) for key, count in value.items()}
    elif isinstance(value, int | float):
        found[name] = float(value)
